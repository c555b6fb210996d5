/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answer a ping of a VIP: docs/packets.md, section 8. */
#ifndef REMAINDER_ECHO_H
#define REMAINDER_ECHO_H

#include "parse.h"

#define ECHO_TTL 64

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
static __always_inline void patch(__be16 *checksum, __u16 old, __u16 new)
{
	__u32 sum = (__u16) ~*checksum + (__u16)~old + new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*checksum = ~sum;
}

#define LINK_LOCAL_BROADCAST bpf_htonl(0xa9feffff) /* 169.254.255.255 */

/* Whether an answer reaches one other machine: neither many nor this one. */
static __always_inline int is_from_one_machine(const struct packet *packet,
					       int family)
{
	__u8 first;

	if (*(__u8 *)packet->eth->src & GROUP_BIT)
		return 0;
	if (family == 4) {
		first = (__u8)packet->src_lo;
		return first >= 1 && first <= 223 && first != 127 &&
		       (__u32)packet->src_lo != LINK_LOCAL_BROADCAST;
	}
	first = (__u8)packet->src_hi;
	return first != 0xff &&
	       (packet->src_hi || packet->src_lo & ~bpf_cpu_to_be64(1));
}

static __always_inline void answer_echo(struct packet *packet, int family)
{
	struct icmphdr *icmp = packet->icmp;
	__u16 *words = (__u16 *)packet->eth;
	__u16 old;

#pragma unroll
	for (int i = 0; i < 3; i++) {
		old = words[i];
		words[i] = words[i + 3];
		words[i + 3] = old;
	}
	if (family == 4) {
		struct iphdr *ip = packet->ip;
		__u16 *ttl = (__u16 *)&ip->ttl; /* with the protocol behind */

		ip->saddr = (__u32)packet->dst_lo;
		ip->daddr = (__u32)packet->src_lo;
		old = *ttl;
		ip->ttl = ECHO_TTL;
		patch(&ip->check, old, *ttl);
	} else {
		struct ipv6hdr *ip = packet->ip;
		__u64 *src = (__u64 *)&ip->saddr, *dst = (__u64 *)&ip->daddr;

		src[0] = packet->dst_hi;
		src[1] = packet->dst_lo;
		dst[0] = packet->src_hi;
		dst[1] = packet->src_lo;
		ip->hop_limit = ECHO_TTL;
	}
	old = *(__u16 *)icmp;
	icmp->type = family == 4 ? 0 : 129;
	patch(&icmp->checksum, old, *(__u16 *)icmp);
}

#endif
