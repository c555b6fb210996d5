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

	int was_us = 0;

	question->chances = service->chances;
#pragma clang loop unroll(disable)
	for (int age = 0; age <= CHANCES_MAX; age++) {
		struct owner *owner =
			owner_of(tables, service,
				 slot_of(tables, service, packet, family));

		if (!owner)
			return OUTCOME_NO_OWNER;
		if (!age) {
			question->now = asked_of(owner);
			question->is_ours = !!(owner->flags & OWNER_SELF);
		}
		if (owner->flags & OWNER_SELF) {
			question->is_on_way = 1;
			question->has_older = 0;
			was_us = 1;
		} else {
			if (was_us) {
				question->older = asked_of(owner);
				question->has_older = 1;
				was_us = 0;
			}
			if (!question->is_on_way) {
				before_us[age] = owner->counter;
			} else if (!question->has_next &&
				   owner->counter != before_us[0] &&
				   owner->counter != before_us[1] &&
				   owner->counter != before_us[2] &&
				   owner->counter != before_us[3]) {
				question->next = asked_of(owner);
				question->has_next = 1;
			}
		}
		if (!service->chances)
			break;
		service = earlier_than(tables, service);
	}
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

#endif
