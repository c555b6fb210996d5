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

static __always_inline struct service *probe(__u64 hi, __u64 lo, __u32 match,
					     int family, __u32 half)
{
	__u64 mixed = lo * INDEX_LO + match * INDEX_MATCH;
	struct service *service;
	__u64 *seed;
	__u32 at;

	if (family == 6)
		mixed += hi * INDEX_HI;
	at = half * settings.buckets + (mixed >> settings.bucket_shift);
	seed = bpf_map_lookup_elem(&seeds, &at);
	if (!seed)
		return 0;
	at = half * settings.services +
	     (mixed * *seed >> settings.service_shift);
	service = bpf_map_lookup_elem(&services, &at);
	if (!service || service->match != match || service->vip_lo != lo ||
	    (family == 6 && service->vip_hi != hi))
		return 0;
	return service;
}

/* At the packet's destination; 0 stands for "any". */
static __always_inline struct service *probe_claim(const struct packet *packet,
						   __u16 port, __u8 protocol,
						   int family, __u32 half)
{
	return probe(packet->dst_hi, packet->dst_lo,
		     match_of(port, protocol, family), family, half);
}

/* By port and protocol: where nearly every packet finds its service. */
static __always_inline struct service *probe_port(const struct packet *packet,
						  int family, __u32 half)
{
	return probe_claim(packet, packet->ports >> 16, packet->protocol,
			   family, half);
}

/* The most specific service, or a marker of its VIP, or NULL: not a VIP. */
static __always_inline struct service *find(const struct packet *packet,
					    int family, __u32 half)
{
	__u32 features = settings.features;
	__u16 port = packet->ports >> 16;
	struct service *service;

	if (packet->foreign)
		return probe_claim(packet, 0, 0, family, half);
	/* An error quotes a port that nobody has asked for yet. */
	if (port && packet->error) {
		service = probe_port(packet, family, half);
		if (service)
			return service;
	}
	if (port && features & FEATURE_ANY_PROTOCOL) {
		service = probe_claim(packet, port, 0, family, half);
		if (service)
			return service;
	}
	if (features & FEATURE_ANY_PORT || packet->fragment) {
		service =
			probe_claim(packet, 0, packet->protocol, family, half);
		if (service)
			return service;
	}
	service = probe_claim(packet, 0, 0, family, half);
	if (!service && features & FEATURE_ANY_ADDRESS)
		service = probe(0, 0, match_of(0, 0, family), family, half);
	return service;
}

static __always_inline struct owner *owner_of(const struct service *service,
					      __u32 slot, __u32 half)
{
	__u32 at = service->first_slot + slot;
	__u32 lane = at & 3;
	struct row *row;

	at = half * settings.rows + (at >> 2);
	row = bpf_map_lookup_elem(&rows, &at);
	if (!row || row->owner[lane] == NOBODY)
		return 0;
	at = half * settings.owners + service->first_owner + row->owner[lane];
	return bpf_map_lookup_elem(&owners, &at);
}

#endif
