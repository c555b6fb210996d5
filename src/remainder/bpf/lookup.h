/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a flow to its service, from a slot to its owner.
 *
 * Twin: kernel/index.py computes the seeds so that no two services collide;
 * then one comparison is enough.
 */
#ifndef REMAINDER_LOOKUP_H
#define REMAINDER_LOOKUP_H

#include "maps.h"
#include "parse.h"

static __always_inline __u32 match_of(__u16 port_raw, __u8 protocol, int family)
{
	return port_raw | (__u32)protocol << 16 | (__u32)family << 24;
}

/* Read once: a packet sees one half from here to its end. */
static __always_inline struct tables *current_tables(void)
{
	__u32 half = live.half & 1;

	return bpf_map_lookup_elem(&halves, &half);
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

/* At the packet's destination; 0 stands for "any". */
static __always_inline struct service *probe_claim(struct tables *tables,
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
	return probe_claim(tables, packet, packet->ports >> 16,
			   packet->protocol, family);
}

/* The most specific service, or a marker of its VIP, or NULL: not a VIP. */
static __always_inline struct service *
find(struct tables *tables, const struct packet *packet, int family)
{
	__u32 features = settings.features;
	__u16 port = packet->ports >> 16;
	struct service *service;

	if (packet->foreign)
		return probe_claim(tables, packet, 0, 0, family);
	/* An error quotes a port that nobody has asked for yet. */
	if (port && packet->error) {
		service = probe_port(tables, packet, family);
		if (service)
			return service;
	}
	if (port && features & FEATURE_ANY_PROTOCOL) {
		service = probe_claim(tables, packet, port, 0, family);
		if (service)
			return service;
	}
	if (features & FEATURE_ANY_PORT || packet->fragment) {
		service = probe_claim(tables, packet, 0, packet->protocol,
				      family);
		if (service)
			return service;
	}
	service = probe_claim(tables, packet, 0, 0, family);
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

#endif
