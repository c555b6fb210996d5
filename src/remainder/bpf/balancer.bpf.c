/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The balancer: every packet to the server that the calculation names.
 *
 * Claims 1 to 14, 17 to 27, 31 to 33.  Twin: roles/balancer.py loads it;
 * reference.py judges it.  docs/packets.md is the contract. No session state:
 * nothing is written but counters.
 */
#include <linux/bpf.h>

#define CONTEXT struct xdp_md

#include "maps.h"
#include "parse.h"
#include "icmp.h"
#include "key.h"
#include "lookup.h"
#include "forward_l2.h"
#include "closer.h"
#include "count.h"

static __always_inline enum outcome to_owner(struct tables *tables,
					     struct packet *packet,
					     struct service *service,
					     int family, __u64 bytes)
{
	__u32 slot = slot_of(tables, service, packet, family);
	struct owner *owner = owner_of(tables, service, slot);

	if (!owner)
		return OUTCOME_NO_OWNER;
	if (!(owner->flags & OWNER_RESOLVED))
		return OUTCOME_UNRESOLVED;
	add(&servers, owner->counter, bytes);
	forward_l2(packet->eth, owner);
	return packet->error ? OUTCOME_FORWARDED_ERROR : OUTCOME_FORWARDED;
}

static __always_inline enum outcome balance_family(struct xdp_md *ctx,
						   struct cursor *cursor,
						   struct packet *packet,
						   int family, __u64 bytes)
{
	struct tables *tables = current_tables();
	struct service *service = 0;
	enum outcome outcome;

	outcome = read_flow(ctx, cursor, packet, family);
	if (outcome != UNDECIDED)
		return outcome;
	if (!tables)
		return OUTCOME_NOT_VIP;
	outcome = find_service(tables, packet, &service, family);
	if (outcome != UNDECIDED)
		return outcome;
	return to_owner(tables, packet, service, family, bytes);
}

static __always_inline enum outcome balance(struct xdp_md *ctx, __u64 bytes)
{
	struct cursor cursor = cursor_of(ctx);
	struct packet packet = {};
	enum outcome outcome = read_ethernet(&cursor, &packet);

	if (outcome != UNDECIDED)
		return outcome;
	/* Flooded frames meant for others pass by here too. */
	if (destination_of(packet.eth) != live.mac)
		return OUTCOME_OTHER_MAC;
	outcome = read_ethertype(&cursor, &packet);
	if (outcome != UNDECIDED)
		return outcome;
	if (packet.family == 4) {
		if (!(settings.features & FEATURE_IPV4))
			return OUTCOME_NOT_VIP;
		return balance_family(ctx, &cursor, &packet, 4, bytes);
	}
	if (!(settings.features & FEATURE_IPV6))
		return OUTCOME_NOT_VIP;
	return balance_family(ctx, &cursor, &packet, 6, bytes);
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	enum outcome outcome = balance(ctx, bytes);

	add(&outcomes, outcome, bytes);
	return verdict_of(outcome);
}

char _license[] SEC("license") = "Dual BSD/GPL";
