/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packets that port and protocol alone do not settle: docs/packets.md,
 * sections 6 to 8. */
#ifndef REMAINDER_CLOSER_H
#define REMAINDER_CLOSER_H

#include "echo.h"
#include "lookup.h"

/* Whatever is not a whole packet to a service by its very port and protocol. */
static __always_inline enum outcome look_closer(struct tables *tables,
						struct packet *packet,
						struct service **found,
						int family)
{
	struct service *service = find(tables, packet, family);

	if (!service)
		return OUTCOME_NOT_VIP;
	if (packet->foreign)
		return OUTCOME_NO_SERVICE;
	if (settings.features & FEATURE_ECHO && packet->icmp &&
	    is_unicast(packet, family) &&
	    (__u8)(service->match >> 16) != packet->protocol) {
		answer_echo(packet, family);
		return OUTCOME_ECHO_ANSWERED;
	}
	if (packet->fragment) {
		if (!service->slots)
			return service->flags & SERVICE_DROP_FRAGMENTS ?
				       OUTCOME_FRAGMENT_DROPPED :
				       OUTCOME_NO_SERVICE;
		if (!(service->flags & SERVICE_FORWARD_FRAGMENTS) ||
		    (family == 6 && (is_extension(packet->protocol) ||
				     packet->protocol == IPPROTO_FRAGMENT)))
			return OUTCOME_FRAGMENT_DROPPED;
	}
	if (!service->slots)
		return OUTCOME_NO_SERVICE;
	*found = service;
	return UNDECIDED;
}

/* Its service, for who takes nearly everything by port and protocol. */
static __always_inline enum outcome find_service(struct tables *tables,
						 struct packet *packet,
						 struct service **found,
						 int family)
{
	if (packet->has_ports)
		*found = probe_port(tables, packet, family);
	if (*found && (*found)->slots)
		return UNDECIDED;
	return look_closer(tables, packet, found, family);
}

#endif
