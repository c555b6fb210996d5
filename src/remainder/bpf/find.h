/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The service of a flow, and the owner of a slot: docs/packets.md, sections 6
 * to 8.
 *
 * Twin: kernel/index.py computes the seeds so that no two services collide;
 * then one comparison is enough.
 */
#ifndef REMAINDER_FIND_H
#define REMAINDER_FIND_H

#include "abi.h"
#include "echo.h"
#include "icmp.h"
#include "maps.h"
#include "parse.h"

static __always_inline __u32 match_of(__u16 port_raw, __u8 protocol, int family)
{
	return port_raw | (__u32)protocol << 16 | (__u32)family << 24;
}

/* A shift leaves what the sizes allow, so the index needs no bounds check. */
static __always_inline struct service *probe(struct tables *tables, __u64 hi,
					     __u64 lo, __u32 match, int family)
{
	__u64 mixed = lo * INDEX_LO + match * INDEX_MATCH;
	__u64 *seeds = (void *)(tables + 1);
	struct service *service = (void *)tables + settings.services_at;

	if (family == 6)
		mixed += hi * INDEX_HI;
	service += mixed * seeds[mixed >> settings.bucket_shift] >>
		   settings.service_shift;
	if (service->match != match || service->vip_lo != lo ||
	    (family == 6 && service->vip_hi != hi))
		return 0;
	return service;
}

/* At the packet's destination; port and protocol 0 stand for "any". */
static __always_inline struct service *probe_at(struct tables *tables,
						const struct packet *packet,
						__u16 port, __u8 protocol,
						int family)
{
	return probe(tables, packet->dst_hi, packet->dst_lo,
		     match_of(port, protocol, family), family);
}

/* By port and protocol: where nearly every packet finds its service. */
static __always_inline struct service *
probe_port(struct tables *tables, const struct packet *packet, int family)
{
	return probe_at(tables, packet, packet->ports >> 16, packet->protocol,
			family);
}

/* The most specific service, or a marker of its VIP, or NULL: not a VIP. */
static __always_inline struct service *
find(struct tables *tables, const struct packet *packet, int family)
{
	__u32 features = settings.features;
	__u16 port = packet->ports >> 16;
	struct service *service;

	/* No VIP is unspecified: that is how a table writes "any". */
	if (packet->foreign)
		return packet->dst_hi || packet->dst_lo ?
			       probe_at(tables, packet, 0, 0, family) :
			       0;
	/* An error quotes a port that nobody has asked for yet. */
	if (port && packet->error) {
		service = probe_port(tables, packet, family);
		if (service)
			return service;
	}
	if (port && features & FEATURE_ANY_PROTOCOL) {
		service = probe_at(tables, packet, port, 0, family);
		if (service)
			return service;
	}
	if (features & FEATURE_ANY_PORT || packet->fragment) {
		service = probe_at(tables, packet, 0, packet->protocol, family);
		if (service)
			return service;
	}
	service = probe_at(tables, packet, 0, 0, family);
	if (!service && features & FEATURE_ANY_ADDRESS)
		service = probe(tables, 0, 0, match_of(0, 0, family), family);
	return service;
}

static __always_inline struct owner *
owner_of(struct tables *tables, const struct service *service, __u32 slot)
{
	__u16 *slots = (void *)tables + settings.slots_at;
	struct owner *owners = (void *)tables + settings.owners_at;
	__u32 at = service->first_slot + slot;

	if (at >= settings.slots || slots[at] == NOBODY)
		return 0;
	at = service->first_owner + slots[at];
	return at < settings.owners ? &owners[at] : 0;
}

/* Whether a ping may be answered: by whom it is asked is all that is left. */
static __always_inline int may_answer(struct tables *tables,
				      const struct packet *packet, int family)
{
	/* Every VIP has an entry for any port and protocol, if only a marker. */
	return is_from_one_machine(packet, family) &&
	       !probe(tables, packet->src_hi, packet->src_lo,
		      match_of(0, 0, family), family);
}

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
	    (__u8)(service->match >> 16) != packet->protocol &&
	    may_answer(tables, packet, family)) {
		answer_echo(packet, family);
		return OUTCOME_ECHO_ANSWERED;
	}
	if (packet->fragment) {
		if (settings.features & FEATURE_ECHO && !packet->error &&
		    is_icmp(packet->protocol, family) &&
		    (__u8)(service->match >> 16) != packet->protocol &&
		    !(service->flags & SERVICE_FORWARD_FRAGMENTS))
			return OUTCOME_ECHO_TOO_LARGE;
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
