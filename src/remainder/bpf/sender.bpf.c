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
#define TAG_BESIDE(ctx)                                               \
	(!(ctx)->vlan_present ? NO_TAG :                              \
	 (ctx)->vlan_proto == bpf_htons(ETH_P_8021Q) ?                \
				bpf_htons((ctx)->vlan_tci & 0x0fff) : \
				SERVICE_TAG)
#define SERVICE_TAG 0xffff /* the ID of no VLAN */
#define IS_JUMBO(ctx, uncounted) ((ctx)->len > ETH_HLEN + (uncounted) + 0xffff)

#include "count.h"
#include "find.h"
#include "flow.h"
#include "forward.h"
#include "key.h"
#include "maps.h"
#include "onlink.h"
#include "parse.h"

#define TCX_NEXT (-1)
#define TCX_DROP 2

static __always_inline enum outcome
to_router(struct tables *tables, struct packet *packet, int family, __u64 bytes)
{
	struct service *service = 0;
	struct owner *owner;
	enum outcome outcome;

	if (stays_on_link(packet, family))
		return OUTCOME_ON_LINK;
	if (packet->foreign)
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
	if (*(__u8 *)packet.eth->dst & GROUP_BIT)
		return OUTCOME_ON_LINK; /* to a group, not to a router */
	return decide_flow(to_router, ctx, &cursor, &packet, bytes);
}

SEC("tc")
int sender(struct __sk_buff *skb)
{
	enum outcome outcome = choose(skb, skb->len);

	add(&outcomes, outcome, skb->len);
	return verdict_of(outcome) == XDP_DROP ? TCX_DROP : TCX_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
