/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A member of a cluster that selects itself: all members receive every packet,
 * each does the calculation, and one keeps it.
 *
 * Claims 28 to 30, 34 to 43.  Twin: roles/member.py loads it; reference.py
 * judges it.  docs/packets.md, section 10, is the contract.
 */
#include <linux/bpf.h>

#define CONTEXT struct xdp_md

#include "maps.h"
#include "parse.h"
#include "icmp.h"
#include "key.h"
#include "lookup.h"
#include "closer.h"
#include "neighbour.h"
#include "count.h"

static __always_inline enum outcome select_family(struct xdp_md *ctx,
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
	if (!tables)
		return OUTCOME_NOT_VIP;
	outcome = look_closer(tables, packet, &service, family);
	if (outcome != UNDECIDED)
		return outcome;
	owner = owner_of(tables, service,
			 slot_of(tables, service, packet, family));
	if (!owner)
		return OUTCOME_NO_OWNER;
	add(&servers, owner->counter, bytes);
	if (!(owner->flags & OWNER_SELF))
		return OUTCOME_LEFT;
	/* The stack takes what is sent to its own address. */
	*word(packet->eth->dst) = live.mac;
	packet->eth->dst[2] = live.mac >> 32;
	return OUTCOME_KEPT;
}

static __always_inline enum outcome choose(struct xdp_md *ctx, __u64 bytes)
{
	struct cursor cursor = cursor_of(ctx);
	struct packet packet = {};
	enum outcome outcome = read_ethernet(&cursor, &packet);

	if (outcome != UNDECIDED)
		return outcome;
	if (asks_for_shared_address(ctx))
		return OUTCOME_NEIGHBOUR_ANSWERED;
	if (destination_of(packet.eth) != live.cluster_mac)
		return OUTCOME_OTHER_MAC;
	outcome = read_ethertype(&cursor, &packet);
	if (outcome != UNDECIDED)
		return outcome;
	if (packet.family == 4)
		return settings.features & FEATURE_IPV4 ?
			       select_family(ctx, &cursor, &packet, 4, bytes) :
			       OUTCOME_NOT_VIP;
	return settings.features & FEATURE_IPV6 ?
		       select_family(ctx, &cursor, &packet, 6, bytes) :
		       OUTCOME_NOT_VIP;
}

SEC("xdp")
int member(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	enum outcome outcome = choose(ctx, bytes);

	add(&outcomes, outcome, bytes);
	return verdict_of(outcome);
}

/* Behind member: a virtual Ethernet pair says "multicast" of a frame before
 * XDP gives it our own address, and TCP takes no multicast. */
SEC("tc")
int member_host(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	struct ethernet *eth = data;

	if (data + sizeof(*eth) <= (void *)(long)skb->data_end &&
	    destination_of(eth) == live.mac)
		bpf_skb_change_type(skb, 0 /* PACKET_HOST */);
	return -1; /* TCX_NEXT */
}

char _license[] SEC("license") = "Dual BSD/GPL";
