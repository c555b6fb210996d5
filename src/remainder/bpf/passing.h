/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To another server of the way: docs/packets.md, section 12, steps 8 to 10.
 *
 * Twin: reference/second_chance.py.
 */
#ifndef REMAINDER_PASSING_H
#define REMAINDER_PASSING_H

#include "count.h"
#include "echo.h"
#include "question.h"
#include "way.h"

/* Every way ends: what is left of the TTL is at most how often a packet may
 * still be passed on.  0: not once more. */
static __always_inline int leave_chances(void *ip, __u8 most, int family)
{
	struct iphdr *ip4 = ip;
	struct ipv6hdr *ip6 = ip;
	__u8 *ttl = family == 4 ? &ip4->ttl : &ip6->hop_limit;
	__u16 *ttl_and_protocol = (__u16 *)&ip4->ttl;
	__u16 old = *ttl_and_protocol;

	if (*ttl <= 1)
		return 0;
	*ttl = *ttl <= most ? *ttl - 1 : most;
	if (family == 4)
		patch(&ip4->check, old, *ttl_and_protocol);
	return 1;
}

static __always_inline enum outcome pass_on(struct packet *packet,
					    const struct asked *to, __u8 most,
					    int family, __u64 bytes)
{
	if (!(to->flags & OWNER_RESOLVED))
		return OUTCOME_UNRESOLVED;
	if (!leave_chances(packet->ip, most, family))
		return OUTCOME_KEPT_SPENT;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		packet->eth->src[i] = packet->eth->dst[i];
		packet->eth->dst[i] = to->mac[i];
	}
	add(&servers, to->counter, bytes);
	return OUTCOME_PASSED_ON;
}

/* Down the way; but what came halfway goes down the calculations older than the
 * one by which it came, and then begins its way. */
static __always_inline enum outcome ask_others(struct packet *packet,
					       struct question *question,
					       int family, __u64 bytes)
{
	if (!question->is_ours && question->ttl >= HALFWAY) {
		if (find_down(question) != UNDECIDED ||
		    question->next.flags & OWNER_SELF)
			return OUTCOME_KEPT_UNKNOWN; /* a new file, just now */
	} else if (!question->has_next) {
		return OUTCOME_KEPT_UNKNOWN;
	}
	return pass_on(packet, &question->next, question->most, family, bytes);
}

#endif
