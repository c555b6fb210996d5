/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way out seen as the way in: docs/packets.md, section 11. */
#ifndef REMAINDER_ONLINK_H
#define REMAINDER_ONLINK_H

#include "icmp.h"
#include "maps.h"

/* To a neighbour on the segment, which needs no router. */
static __always_inline int stays_on_link(const struct packet *packet,
					 int family)
{
#pragma unroll
	for (int i = 0; i < PREFIXES; i++) {
		volatile struct prefix *prefix =
			family == 4 ? &live.on_link4[i] : &live.on_link6[i];

		if ((packet->dst_lo & prefix->mask_lo) == prefix->value_lo &&
		    (family == 4 ||
		     (packet->dst_hi & prefix->mask_hi) == prefix->value_hi))
			return 1;
	}
	return 0;
}

/* Source and destination change sides.  An error has been turned already, to
 * the session it quotes; its sides are those of the session's other way. */
static __always_inline void turn_round(struct packet *packet, int family)
{
	__u64 hi = packet->src_hi, lo = packet->src_lo;

	packet->src_hi = packet->dst_hi;
	packet->src_lo = packet->dst_lo;
	packet->dst_hi = hi;
	packet->dst_lo = lo;
	/* An identifier is no side: echoes keep it as source port. */
	if (!is_icmp(packet->protocol, family))
		packet->ports = packet->ports << 16 | packet->ports >> 16;
}

#endif
