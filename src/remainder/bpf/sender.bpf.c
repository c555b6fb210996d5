/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A sender: a server that chooses the router for what it sends, the one that
 * handled the way in, since the calculation is done on the packet with its
 * sides swapped.
 *
 * Claims 44 to 48.  Twin: roles/sender.py loads it; reference/ judges it.
 * docs/packets.md, section 11, is the contract.
 */
#include <linux/bpf.h>

#define CONTEXT struct __sk_buff

#include "maps.h"
#include "parse.h"
#include "icmp.h"
#include "key.h"
#include "lookup.h"
#include "forward_l2.h"
#include "closer.h"
#include "onlink.h"
#include "count.h"

static __always_inline enum outcome return_family(struct __sk_buff *ctx,
						  struct cursor *cursor,
						  struct packet *packet,
						  int family, __u64 bytes)
{
	struct tables *tables = current_tables();
	struct service *service = 0;
	struct owner *owner;
	enum outcome outcome;

	outcome = read_flow(ctx, cursor, packet, family);
	if (outcome != UNDECIDED)
		return outcome;
	if (stays_on_link(packet, family))
		return OUTCOME_ON_LINK;
	if (packet->foreign || !tables)
		return OUTCOME_NOT_VIP;
	turn_round(packet, family);
	outcome = find_service(tables, packet, &service, family);
	if (outcome != UNDECIDED)
		return outcome;
	owner = owner_of(tables, service,
			 slot_of(tables, service, packet, family));
	if (!owner)
		return OUTCOME_NO_OWNER;
	if (!(owner->flags & OWNER_RESOLVED))
		return OUTCOME_UNRESOLVED;
	add(&servers, owner->counter, bytes);
	send_to(packet->eth, owner);
	return OUTCOME_RETURNED;
}

static __always_inline enum outcome choose(struct __sk_buff *ctx, __u64 bytes)
{
	struct cursor cursor = cursor_of(ctx);
	struct packet packet = {};
	enum outcome outcome = read_ethernet(&cursor, &packet);

	if (outcome != UNDECIDED)
		return outcome;
	if (*(__u8 *)packet.eth->dst & 1)
		return OUTCOME_ON_LINK; /* to a group, not to a router */
	outcome = read_ethertype(&cursor, &packet);
	if (outcome != UNDECIDED)
		return outcome;
	if (packet.family == 4)
		return settings.features & FEATURE_IPV4 ?
			       return_family(ctx, &cursor, &packet, 4, bytes) :
			       OUTCOME_NOT_VIP;
	return settings.features & FEATURE_IPV6 ?
		       return_family(ctx, &cursor, &packet, 6, bytes) :
		       OUTCOME_NOT_VIP;
}

SEC("tc")
int sender(struct __sk_buff *skb)
{
	enum outcome outcome = choose(skb, skb->len);

	add(&outcomes, outcome, skb->len);
	return verdict_of(outcome) == XDP_DROP ? 2 /* TCX_DROP */ :
						 -1 /* TCX_NEXT */;
}

char _license[] SEC("license") = "Dual BSD/GPL";
