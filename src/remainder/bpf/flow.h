/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A frame's flow, and then the decision of a role, for each family once. */
#ifndef REMAINDER_FLOW_H
#define REMAINDER_FLOW_H

#include "abi.h"
#include "icmp.h"
#include "maps.h"
#include "parse.h"
#include "vlan.h"

/* Everything behind the Ethernet header that a calculation may need. */
static __always_inline enum outcome read_flow(CONTEXT *ctx,
					      struct cursor *cursor,
					      struct packet *packet, int family)
{
	enum outcome outcome;
	__u32 *ports;

	if (read_ordinary(cursor, packet, family))
		return UNDECIDED;
	outcome = family == 4 ? read_ipv4(ctx, cursor, packet) :
				read_ipv6(ctx, cursor, packet);
	if (outcome != UNDECIDED)
		return outcome;
	if (packet->fragment || !has_ports(packet->protocol))
		return read_icmp(ctx, cursor, packet, family);
	ports = take(cursor, __u32);
	if (!ports)
		return OUTCOME_MALFORMED;
	packet->ports = *ports;
	packet->has_ports = 1;
	return UNDECIDED;
}

/* What a role makes of a packet whose flow is known. */
typedef enum outcome decide(struct tables *tables, struct packet *packet,
			    int family, __u64 bytes);

static __always_inline enum outcome decide_family(decide *role, CONTEXT *ctx,
						  struct cursor *cursor,
						  struct packet *packet,
						  int family, __u64 bytes)
{
	/* Asked for early: it comes while the headers are read. */
	struct tables *tables = current_tables();
	enum outcome outcome = read_flow(ctx, cursor, packet, family);

	if (outcome != UNDECIDED)
		return outcome;
	if (!tables)
		return OUTCOME_NOT_VIP; /* never: a half always exists */
	return role(tables, packet, family, bytes);
}

/* From the EtherType on.  The family is a constant in all that follows, so the
 * verifier drops what a file without VIPs of that family does not need. */
static __always_inline enum outcome decide_flow(decide *role, CONTEXT *ctx,
						struct cursor *cursor,
						struct packet *packet,
						__u64 bytes)
{
	__u32 need;
	enum outcome outcome = read_ethertype(ctx, cursor, packet, &need);

	if (outcome != UNDECIDED)
		return outcome;
	if (packet->family == 4)
		return settings.features & need ?
			       decide_family(role, ctx, cursor, packet, 4,
					     bytes) :
			       not_needed();
	return settings.features & need ?
		       decide_family(role, ctx, cursor, packet, 6, bytes) :
		       not_needed();
}

#endif
