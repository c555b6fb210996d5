/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whom the calculations of a service name, newest first, each once: the way of
 * a packet whose session is sought.  docs/packets.md, section 12.
 *
 * Twin: PlannedChoice.way.
 */
#ifndef REMAINDER_WAY_H
#define REMAINDER_WAY_H

#include "find.h"
#include "key.h"
#include "question.h"

#define NO_COUNTER 0xffffffff

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

/* Every owner of a service has a counter of its own, by which it is told from
 * the others, whatever the calculation that names it. */
static __always_inline enum outcome walk(struct tables *tables,
					 struct service *service,
					 const struct packet *packet,
					 struct question *question, int family)
{
	__u32 before_us[CHANCES_MAX + 1] = { NO_COUNTER, NO_COUNTER, NO_COUNTER,
					     NO_COUNTER, NO_COUNTER };

	question->most = service->chances;
#pragma clang loop unroll(disable)
	for (int age = 0; age <= CHANCES_MAX; age++) {
		struct owner *owner =
			owner_of(tables, service,
				 slot_of(tables, service, packet, family));

		if (!owner)
			return OUTCOME_NO_OWNER;
		if (!age)
			question->is_ours = !!(owner->flags & OWNER_SELF);
		if (owner->flags & OWNER_SELF) {
			question->is_on_way = 1;
		} else if (!question->is_on_way) {
			before_us[age] = owner->counter;
		} else if (owner->counter != before_us[0] &&
			   owner->counter != before_us[1] &&
			   owner->counter != before_us[2] &&
			   owner->counter != before_us[3]) {
			question->next = asked_of(owner);
			question->has_next = 1;
			break;
		}
		if (!service->chances)
			break;
		service = earlier_than(tables, service);
	}
	return UNDECIDED;
}

/* From the calculation by which a packet came halfway on to the next that names
 * another, or to the newest. */
static __always_inline enum outcome
walk_down(struct tables *tables, struct service *service,
	  const struct packet *packet, struct question *question, int family)
{
	int met = question->ttl < HALFWAY + CHANCES_MAX ?
			  service->chances - (question->ttl - HALFWAY) :
			  1;
	int came_by = 0;

	question->most = service->chances + 1;
#pragma clang loop unroll(disable)
	for (int age = 0; age <= CHANCES_MAX; age++) {
		struct owner *owner =
			owner_of(tables, service,
				 slot_of(tables, service, packet, family));

		if (!owner)
			return OUTCOME_NO_OWNER;
		if (!age)
			question->next = asked_of(owner);
		if (owner->flags & OWNER_SELF) {
			if (age >= met)
				came_by = 1;
		} else if (came_by) {
			question->next = asked_of(owner);
			question->most = HALFWAY + service->chances;
			break;
		}
		if (!service->chances)
			break;
		service = earlier_than(tables, service);
	}
	return UNDECIDED;
}

typedef enum outcome walk_of(struct tables *tables, struct service *service,
			     const struct packet *packet,
			     struct question *question, int family);

static __always_inline enum outcome
find_for(walk_of *walk_way, struct question *question, int family)
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
	return walk_way(tables, service, &packet, question, family);
}

static __always_inline int find_in_family(walk_of *walk_way,
					  struct question *question)
{
	if (!question)
		return OUTCOME_NOT_VIP;
	if (question->family == 4)
		return settings.features & FEATURE_IPV4 ?
			       find_for(walk_way, question, 4) :
			       OUTCOME_NOT_VIP;
	return settings.features & FEATURE_IPV6 ?
		       find_for(walk_way, question, 6) :
		       OUTCOME_NOT_VIP;
}

/* In one half of the tables from its service to its owners. */
__noinline int find_way(struct question *question)
{
	return find_in_family(walk, question);
}

/* The same, in the half that is current by now, for what came halfway. */
__noinline int find_down(struct question *question)
{
	return find_in_family(walk_down, question);
}

#endif
