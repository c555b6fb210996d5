/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From the fields of a flow to a slot: the calculation of the claims.
 *
 * Twins: selection/key.py, selection/siphash.py.
 * Sums are exact.  IPv6 addresses are added limb by limb (32 bits each); with
 * slots below 2^20 the weighted sum of the limbs stays below 2^56, so one
 * division by N at the end is the same as arithmetic on 128 bits.
 */
#ifndef REMAINDER_KEY_H
#define REMAINDER_KEY_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>

#include "abi.h"
#include "maps.h"
#include "parse.h"

static __always_inline __u64 sum_of(const struct service *service,
				    const struct packet *packet, int family)
{
	__u64 src_mask = service->src_ip_mask, dst_mask = service->dst_ip_mask;
	__u32 ports = bpf_ntohl(packet->ports & service->ports_mask);
	__u64 sum = (ports >> 16) + (ports & 0xffff) +
		    (packet->protocol & service->protocol_mask);

	if (family == 4) {
		sum += bpf_ntohl((__u32)packet->src_lo) & src_mask;
		sum += bpf_ntohl((__u32)packet->dst_lo) & dst_mask;
	} else {
		__u64 src_hi = bpf_be64_to_cpu(packet->src_hi);
		__u64 src_lo = bpf_be64_to_cpu(packet->src_lo);
		__u64 dst_hi = bpf_be64_to_cpu(packet->dst_hi);
		__u64 dst_lo = bpf_be64_to_cpu(packet->dst_lo);

		sum += ((src_lo & src_mask) + (dst_lo & dst_mask));
		sum += ((src_lo >> 32 & src_mask) + (dst_lo >> 32 & dst_mask)) *
		       service->power[0];
		sum += ((src_hi & src_mask) + (dst_hi & dst_mask)) *
		       service->power[1];
		sum += ((src_hi >> 32 & src_mask) + (dst_hi >> 32 & dst_mask)) *
		       service->power[2];
	}
	return sum;
}

static __always_inline __u64 rotl(__u64 word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static __always_inline void sip_round(__u64 v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

static __always_inline void sip_word(__u64 v[4], __u64 word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

/* SipHash-1-3 of the message in docs/selection.md. */
static __always_inline __u64 hash_of(const struct service *service,
				     const struct packet *packet, int family,
				     const struct secret *secret)
{
	__u64 src_mask = service->src_ip_mask, dst_mask = service->dst_ip_mask;
	__u64 tail = (packet->ports & service->ports_mask) |
		     (__u64)(packet->protocol & service->protocol_mask) << 32;
	__u64 v[4];

	v[0] = secret->v[0];
	v[1] = secret->v[1];
	v[2] = secret->v[2];
	v[3] = secret->v[3];
	if (family == 4) {
		sip_word(v, (packet->src_lo & src_mask) |
				    (packet->dst_lo & dst_mask) << 32);
		tail |= 13ULL << 56;
	} else {
		src_mask |= src_mask << 32;
		dst_mask |= dst_mask << 32;
		sip_word(v, packet->src_hi & src_mask);
		sip_word(v, packet->src_lo & src_mask);
		sip_word(v, packet->dst_hi & dst_mask);
		sip_word(v, packet->dst_lo & dst_mask);
		tail |= 37ULL << 56;
	}
	sip_word(v, tail);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static __always_inline __u32 slot_of(const struct tables *tables,
				     const struct service *service,
				     const struct packet *packet, int family)
{
	__u32 features = settings.features;
	__u64 key;

	/* Where a file has only one kind, no packet asks which. */
	if (!(features & FEATURE_HASH))
		key = sum_of(service, packet, family);
	else if (!(features & FEATURE_SUM) || service->flags & SERVICE_HASHED)
		key = hash_of(service, packet, family, &tables->secret);
	else
		key = sum_of(service, packet, family);
	return key % service->slots;
}

#endif
