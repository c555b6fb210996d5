/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The balancer: every packet to the server that the calculation names.
 *
 * Claims 1 to 14, 17 to 27, 31 to 33.  Twin: roles/balancer.py loads it;
 * reference.py judges it.  docs/packets.md is the contract. No session state:
 * nothing is written but counters.
 */
#include <linux/bpf.h>

#include "count.h"
#include "find.h"
#include "flow.h"
#include "forward.h"
#include "key.h"
#include "maps.h"
#include "own.h"
#include "parse.h"

static __always_inline enum outcome
to_server(struct tables *tables, struct packet *packet, int family, __u64 bytes)
{
	struct service *service = 0;
	struct owner *owner;
	enum outcome outcome = find_service(tables, packet, &service, family);

	if (outcome != UNDECIDED)
		return outcome;
	owner = owner_of(tables, service,
			 slot_of(tables, service, packet, family));
	if (!owner)
		return OUTCOME_NO_OWNER;
	if (!(owner->flags & OWNER_RESOLVED))
		return OUTCOME_UNRESOLVED;
	outcome = forward(packet, service, owner, family);
	if (outcome != OUTCOME_TTL_EXPIRED)
		add(&servers, owner->counter, bytes);
	return outcome;
}

static __always_inline enum outcome balance(struct xdp_md *ctx, __u64 bytes)
{
	struct cursor cursor = cursor_of(ctx);
	struct packet packet = {};
	enum outcome outcome = read_ethernet(&cursor, &packet);

	if (outcome != UNDECIDED)
		return outcome;
	/* Flooded frames meant for others pass by here too. */
	if (destination_of(packet.eth) != live.mac) {
		outcome = meet_other_mac(ctx);
		if (outcome != UNDECIDED)
			return outcome;
	}
	return decide_flow(to_server, ctx, &cursor, &packet, bytes);
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	__u64 bytes = frame_bytes(ctx);
	enum outcome outcome = balance(ctx, bytes);

	add(&outcomes, outcome, bytes);
	return verdict_of(outcome);
}

char _license[] SEC("license") = "Dual BSD/GPL";
