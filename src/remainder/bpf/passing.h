/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To another server of the way: docs/packets.md, section 12, steps 8 to 10. */
#ifndef REMAINDER_PASSING_H
#define REMAINDER_PASSING_H

#include "count.h"
#include "echo.h"
#include "way.h"

/* Every way ends: a TTL only goes down. */
static __always_inline void leave_ttl(void *ip, __u8 left, int family)
{
	struct iphdr *ip4 = ip;
	struct ipv6hdr *ip6 = ip;
	__u16 *ttl_and_protocol = (__u16 *)&ip4->ttl;
	__u16 old = *ttl_and_protocol;

	if (family == 6) {
		ip6->hop_limit = left;
		return;
	}
	ip4->ttl = left;
	patch(&ip4->check, old, *ttl_and_protocol);
}

static __always_inline enum outcome pass_on(struct packet *packet,
					    struct question *question,
					    int family, __u64 bytes)
{
	struct asked *to;

	if (!find_next(question) || question->next > CHANCES_MAX ||
	    question->ttl_left >= question->ttl)
		return OUTCOME_KEPT_UNKNOWN;
	to = &question->owners[question->next];
	if (!(to->flags & OWNER_RESOLVED))
		return OUTCOME_UNRESOLVED;
	leave_ttl(packet->ip, question->ttl_left, family);
#pragma unroll
	for (int i = 0; i < 3; i++) {
		packet->eth->src[i] = packet->eth->dst[i];
		packet->eth->dst[i] = to->mac[i];
	}
	add(&servers, to->counter, bytes);
	return OUTCOME_PASSED_ON;
}

#endif
