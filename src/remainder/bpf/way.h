/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whom the calculations of a service name, newest first, and who of them is
 * asked next for a session: docs/packets.md, section 12.
 *
 * Twins: PlannedChoice.answers, reference/second_chance.py.
 */
#ifndef REMAINDER_WAY_H
#define REMAINDER_WAY_H

#include "find.h"
#include "key.h"
#include "question.h"

/* What a TTL says of a packet on its way: by how many calculations it goes
 * ("length", but for the first), and how many of them are left.  Both count
 * from the oldest, so they mean the same in a file that has a newer one. */
#define TTL_WAY(length, left) \
	(((__u32)(length) * ((__u32)(length) + 1) >> 1) + (left))
/* The same for a way that a balancer with an older file has begun. */
#define TTL_HALFWAY(length, left) \
	(TTL_WAY(CHANCES_MAX, CHANCES_MAX) + TTL_WAY((length) - 1, left) + 1)
#define TTL_LAST TTL_HALFWAY(CHANCES_MAX - 1, CHANCES_MAX - 2)

static __always_inline struct service *
earlier_than(struct tables *tables, const struct service *service)
{
	struct service *services = (void *)tables + settings.services_at;

	return &services[service->earlier & (~0ULL >> settings.service_shift)];
}

static __always_inline struct asked asked_of(const struct owner *owner)
{
	struct asked asked = {
		.counter = owner->counter,
		.mac[0] = *(const __u16 *)owner->mac,
		.mac[1] = *(const __u16 *)(owner->mac + 2),
		.mac[2] = *(const __u16 *)(owner->mac + 4),
		.flags = owner->flags,
	};

	return asked;
}

static __always_inline enum outcome walk(struct tables *tables,
					 struct service *service,
					 const struct packet *packet,
					 struct question *question, int family)
{
	__u8 any = 0, all = OWNER_SELF;

#pragma clang loop unroll(disable)
	for (int age = 0; age <= CHANCES_MAX; age++) {
		struct owner *owner =
			owner_of(tables, service,
				 slot_of(tables, service, packet, family));

		if (!owner)
			return OUTCOME_NO_OWNER;
		question->owners[age] = asked_of(owner);
		question->earlier = age;
		any |= owner->flags;
		all &= owner->flags;
		if (!service->chances)
			break;
		service = earlier_than(tables, service);
	}
	question->is_on_way = any & OWNER_SELF;
	question->is_alone = all;
	return UNDECIDED;
}

static __always_inline enum outcome find_way_of(struct question *question,
						int family)
{
	struct tables *tables = current_tables();
	struct service *service = 0;
	struct packet packet = {
		.src_hi = question->src_hi,
		.src_lo = question->src_lo,
		.dst_hi = question->dst_hi,
		.dst_lo = question->dst_lo,
		.ports = question->ports,
		.protocol = question->protocol,
		.fragment = question->fragment,
		.error = question->error,
		.foreign = question->foreign,
		.has_ports = question->has_ports,
	};
	enum outcome outcome;

	if (!tables)
		return OUTCOME_NOT_VIP; /* never: a half always exists */
	outcome = find_service(tables, &packet, &service, family);
	if (outcome != UNDECIDED || !service->chances)
		return outcome;
	return walk(tables, service, &packet, question, family);
}

/* In one half of the tables from its service to its owners. */
__noinline int find_way(struct question *question)
{
	if (!question)
		return OUTCOME_NOT_VIP;
	if (question->family == 4)
		return settings.features & FEATURE_IPV4 ?
			       find_way_of(question, 4) :
			       OUTCOME_NOT_VIP;
	return settings.features & FEATURE_IPV6 ? find_way_of(question, 6) :
						  OUTCOME_NOT_VIP;
}

/* A way, as its TTL tells it. */
struct leg {
	int length;
	int left;
	int halfway;
};

static __always_inline struct leg leg_of(int ttl)
{
	struct leg leg = { .halfway = ttl > TTL_WAY(CHANCES_MAX, CHANCES_MAX) };

	if (leg.halfway) {
		leg.length = ttl >= TTL_HALFWAY(3, 0) ? 3 :
			     ttl >= TTL_HALFWAY(2, 0) ? 2 :
							1;
		leg.left = ttl - TTL_HALFWAY(leg.length, 0);
	} else {
		leg.length = ttl >= TTL_WAY(4, 0) ? 4 :
			     ttl >= TTL_WAY(3, 0) ? 3 :
			     ttl >= TTL_WAY(2, 0) ? 2 :
						    1;
		leg.left = ttl - TTL_WAY(leg.length, 0);
	}
	return leg;
}

static __always_inline int is_self(const struct asked *owner)
{
	return owner->flags & OWNER_SELF;
}

/* Whether the way has been at an owner between two calculations. */
static __always_inline int was_at(const struct question *question,
				  __u32 counter, int first, int last)
{
	int found = 0;

#pragma clang loop unroll(disable)
	for (int age = 0; age <= CHANCES_MAX; age++)
		if (age >= first && age <= last &&
		    question->owners[age].counter == counter)
			found = 1;
	return found;
}

/* The first calculation after one of them that names somebody new. */
static __always_inline int go_on(struct question *question,
				 const struct leg *leg, int at)
{
	int earlier = question->earlier;

#pragma clang loop unroll(disable)
	for (int age = 1; age <= CHANCES_MAX; age++) {
		struct asked *owner = &question->owners[age];

		if (age > earlier)
			break;
		if (age <= at || is_self(owner) ||
		    was_at(question, owner->counter, earlier - leg->length, at))
			continue;
		question->next = age;
		question->ttl_left =
			leg->halfway ? TTL_HALFWAY(leg->length, earlier - age) :
				       TTL_WAY(leg->length, earlier - age);
		return 1;
	}
	return 0;
}

/* Who is asked after this node; 0: nobody is left. */
__noinline int find_next(struct question *question)
{
	struct leg leg;
	int at = 0;

	if (!question)
		return 0;
	if (question->ttl > TTL_LAST) {
		/* From a balancer, by the first calculation that fits. */
#pragma clang loop unroll(disable)
		for (; at < CHANCES_MAX; at++)
			if (is_self(&question->owners[at]))
				break;
		leg.length = leg.left = question->earlier - at;
		leg.halfway = at > 0;
	} else {
		leg = leg_of(question->ttl);
		at = question->earlier - leg.left;
	}
	if (go_on(question, &leg, at))
		return 1;
	if (!leg.halfway)
		return 0;
	leg.length = leg.left = question->earlier;
	leg.halfway = 0;
	if (is_self(&question->owners[0]))
		return go_on(question, &leg, 0);
	question->next = 0;
	question->ttl_left = TTL_WAY(leg.length, leg.left);
	return 1;
}

#endif
