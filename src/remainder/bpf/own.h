/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames to another MAC address of this machine than the interface's own:
 * docs/packets.md, section 1.
 *
 * Some are the balancer's as well, such as a VRRP virtual address; with the
 * others a VIP should never arrive.  Only frames that are not for the own
 * address pay for the search.
 */
#ifndef REMAINDER_OWN_H
#define REMAINDER_OWN_H

#include "find.h"
#include "maps.h"
#include "parse.h"
#include "vlan.h"

static __always_inline int is_vip(__u64 hi, __u64 lo, int family)
{
	struct tables *tables = current_tables();

	/* Every VIP has an entry for any port and protocol, if only a marker. */
	return tables &&
	       probe(tables, hi, lo, match_of(0, 0, family), family) != 0;
}

static __always_inline int carries_vip(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_of(ctx);
	struct packet packet = {};
	struct ipv6hdr *ip6;
	struct iphdr *ip4;
	__u64 *dst;

	if (read_ethernet(&cursor, &packet) != UNDECIDED ||
	    read_tag(ctx, &cursor, &packet) != UNDECIDED)
		return 0;
	if (packet.family == 4) {
		ip4 = take(&cursor, struct iphdr);
		return ip4 && ip4->version == 4 && is_vip(0, ip4->daddr, 4);
	}
	ip6 = take(&cursor, struct ipv6hdr);
	if (!ip6 || ip6->version != 6)
		return 0;
	dst = (__u64 *)&ip6->daddr;
	return is_vip(dst[0], dst[1], 6);
}

/* UNDECIDED: the address is accepted like the interface's own. */
__noinline int meet_other_mac(struct xdp_md *ctx)
{
	struct ethernet *eth = (void *)(long)ctx->data;
	__u64 destination;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return OUTCOME_MALFORMED;
	destination = destination_of(eth);
#pragma clang loop unroll(disable)
	for (int i = 0; i < OWN_MACS; i++) {
		__u64 own = live.own_macs[i];

		if (!own)
			break;
		if (own << (64 - OWN_MAC_SHIFT) !=
		    destination << (64 - OWN_MAC_SHIFT))
			continue;
		if (own >> OWN_MAC_SHIFT == OWN_MAC_ACCEPTED)
			return UNDECIDED;
		return carries_vip(ctx) ? OUTCOME_OTHER_OWN_MAC :
					  OUTCOME_OTHER_MAC;
	}
	return OUTCOME_OTHER_MAC;
}

#endif
