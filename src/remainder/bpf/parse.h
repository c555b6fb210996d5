/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a frame to the fields of a flow: docs/packets.md, sections 1 to 4.
 *
 * Two ends are watched: the end of the frame (the verifier insists) and the
 * end of the packet inside it, "left" bytes away, so that Ethernet padding is
 * never taken for a port.
 *
 * What few packets need (extension headers, quoted packets) stands in global
 * functions: the verifier looks at each once, not once for every way that
 * leads to it, which makes loading 30 times faster.  Only they cost a call.
 *
 * CONTEXT is what the including program is handed: struct xdp_md, or what it
 * has defined before, struct __sk_buff.
 */
#ifndef REMAINDER_PARSE_H
#define REMAINDER_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#ifndef CONTEXT
#define CONTEXT struct xdp_md
#endif

/* Whether a frame holds more than the length field of its IP header can say,
 * which does not count the first bytes of it: 0 stands for that (RFC 2675).
 * Cards send and receive no such frames, but the stack hands them to who looks
 * at what goes out (BIG TCP). */
#ifndef IS_JUMBO
#define IS_JUMBO(ctx, uncounted) 0
#endif

#define UNDECIDED OUTCOME_MAX /* parsing goes on */

#define EXTENSION_DEPTH 4
#define FARTHEST 0x7fff /* bytes into a frame; real ones end before 17,000 */

#define IPV4_PLAIN 0x45      /* version 4, five words: no options */
#define IP_OPTIONS_MASK 0x3c /* up to 40 bytes, in words of four */
#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET 0x1fff
#define IP6_MORE_FRAGMENTS 0x0001
#define IP6_OFFSET 0xfff8

#define GROUP_BIT 1 /* of the first byte of a MAC address */

struct ethernet {
	__u16 dst[3];
	__u16 src[3];
	__be16 type;
};

/* Four bytes in one load, wherever they stand: packets are read unaligned. */
static __always_inline __u32 *word(void *at)
{
	return at;
}

/* The first eight bytes of ICMP and ICMPv6: <linux/icmp.h> does not compile
 * for BPF. */
struct icmphdr {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
};

struct extension {
	__u8 next;
	__u8 length;
	__be16 offset; /* of a fragment header */
	__be32 id;
};

struct cursor {
	void *start; /* of the frame */
	void *at;
	void *end;
	__u32 left; /* bytes up to the end of the packet */
};

/* What is known of a packet; a field is zero until it is set.
 *
 * field              set by                      read by
 * eth                read_ethernet               roles, echo.h, forward.h
 * family             read_ethertype              flow.h
 * ip                 read_ipv4, read_ipv6,       echo.h, forward.h
 *                    read_ordinary
 * src_*, dst_*       the same; an ICMP error:    find.h, key.h, echo.h,
 * onlink.h read_error; turn_round protocol           the same find.h, key.h,
 * icmp.h, onlink.h ports              read_ordinary, read_flow,   find.h, key.h
 *                    read_icmp, read_error;
 *                    turn_round
 * has_ports          read_ordinary, read_flow    find.h
 * fragment           read_ipv4, read_ipv6,       flow.h, icmp.h, find.h
 *                    read_error
 * bare               read_ipv4, read_ipv6        icmp.h
 * icmp               read_icmp                   find.h, echo.h
 * error, foreign     read_error                  find.h, forward.h, sender
 */
struct packet {
	struct ethernet *eth;
	void *ip;             /* the outer header, never a quoted one */
	struct icmphdr *icmp; /* an echo request that may be answered */
	__u64 src_hi, src_lo; /* raw addresses; IPv4 in the low half of lo */
	__u64 dst_hi, dst_lo;
	__u32 ports; /* raw: source low, destination high */
	__u8 family; /* 4 or 6 */
	__u8 protocol;
	__u8 fragment;
	__u8 bare;    /* no IPv4 options, no IPv6 extension headers */
	__u8 error;   /* the flow is of the packet that an ICMP error quotes */
	__u8 foreign; /* ... which the destination did not send */
	__u8 has_ports;
};

static __always_inline struct cursor cursor_of(CONTEXT *ctx)
{
	struct cursor cursor = {
		.start = (void *)(long)ctx->data,
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.left = ctx->data_end - ctx->data,
	};

	return cursor;
}

/* The next header of this type, or NULL if the packet ends before it does. */
#define take(cursor, type)                                         \
	({                                                         \
		type *header_ = (cursor)->at;                      \
		(cursor)->at = header_ + 1;                        \
		((cursor)->at > (cursor)->end ||                   \
		 (cursor)->left < sizeof(type)) ?                  \
			(type *)0 :                                \
			((cursor)->left -= sizeof(type), header_); \
	})

/* Keep a value in its register: the compiler must not compute it again. */
#define keep(value) asm volatile("" : "+r"(value))

static __always_inline int skip(struct cursor *cursor, __u32 bytes)
{
	if (bytes > cursor->left)
		return 0;
	cursor->left -= bytes;
	cursor->at += bytes;
	return 1;
}

/* Raw, in the low 48 bits, as live.mac. */
static __always_inline __u64 destination_of(struct ethernet *eth)
{
	return *word(eth->dst) | (__u64)eth->dst[2] << 32;
}

static __always_inline enum outcome read_ethernet(struct cursor *cursor,
						  struct packet *packet)
{
	packet->eth = take(cursor, struct ethernet);
	return packet->eth ? UNDECIDED : OUTCOME_MALFORMED;
}

/* Up to the first byte behind the options. */
static __always_inline enum outcome
read_ipv4(CONTEXT *ctx, struct cursor *cursor, struct packet *packet)
{
	struct iphdr *ip = take(cursor, struct iphdr);
	__u32 options, header, total;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return OUTCOME_MALFORMED;
	options = ip->ihl * 4 - sizeof(*ip);
	/* clang 18 and later recompute it from ihl where it is added to the
	 * cursor; verifiers before Linux 6.18 then lose its bounds and reject
	 * the program.  The mask changes no value, it is a bound to them. */
	keep(options);
	options &= IP_OPTIONS_MASK;
	header = sizeof(*ip) + options;
	total = bpf_ntohs(ip->tot_len);
	if (!skip(cursor, options))
		return OUTCOME_MALFORMED;
	if (total || !IS_JUMBO(ctx, 0)) {
		if (total < header)
			return OUTCOME_MALFORMED;
		if (total - header < cursor->left)
			cursor->left = total - header;
	}
	packet->ip = ip;
	packet->bare = !options;
	packet->fragment =
		!!(ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_OFFSET));
	packet->src_lo = ip->saddr;
	packet->dst_lo = ip->daddr;
	packet->protocol = ip->protocol;
	return UNDECIDED;
}

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_AH || protocol == IPPROTO_DSTOPTS;
}

/* A place in a frame as numbers, which a global function may be handed. */
struct place {
	__u32 at; /* from the start of the frame */
	__u32 left;
	__u8 protocol; /* what stands there */
	__u8 fragment;
	__u8 quoted;
};

static __always_inline void *at_place(CONTEXT *ctx, struct place *place,
				      __u32 bytes)
{
	void *header = (void *)(long)ctx->data;

	if (place->at > FARTHEST || place->left < bytes)
		return 0;
	header += place->at;
	if (header + bytes > (void *)(long)ctx->data_end)
		return 0;
	return header;
}

/* Over the extension headers, if any. */
__noinline int walk_extensions(CONTEXT *ctx, struct place *place)
{
	int depth;

	if (!place)
		return OUTCOME_MALFORMED;
	for (depth = 0; depth < EXTENSION_DEPTH; depth++) {
		struct extension *extension;
		__u32 length = sizeof(*extension);
		/* A quoted first fragment has its ports. */
		__u16 mask = place->quoted ? IP6_OFFSET :
					     IP6_OFFSET | IP6_MORE_FRAGMENTS;
		__u8 kind = place->protocol;

		if (!is_extension(kind) && kind != IPPROTO_FRAGMENT)
			return UNDECIDED;
		extension = at_place(ctx, place, sizeof(*extension));
		if (!extension)
			return OUTCOME_MALFORMED;
		place->protocol = extension->next;
		if (kind == IPPROTO_FRAGMENT) {
			if (extension->offset & bpf_htons(mask)) {
				place->fragment = 1;
				return UNDECIDED;
			}
		} else if (kind == IPPROTO_AH) {
			length = (extension->length + 2) * 4;
		} else {
			length = (extension->length + 1) * 8;
		}
		if (length > place->left)
			return OUTCOME_MALFORMED;
		place->at += length;
		place->left -= length;
	}
	if (is_extension(place->protocol) ||
	    place->protocol == IPPROTO_FRAGMENT)
		return OUTCOME_TOO_MANY_HEADERS;
	return UNDECIDED;
}

static __always_inline enum outcome
read_ipv6(CONTEXT *ctx, struct cursor *cursor, struct packet *packet)
{
	struct ipv6hdr *ip = take(cursor, struct ipv6hdr);
	__u64 *src, *dst;
	__u32 payload;

	if (!ip || ip->version != 6)
		return OUTCOME_MALFORMED;
	src = (__u64 *)&ip->saddr;
	dst = (__u64 *)&ip->daddr;
	payload = bpf_ntohs(ip->payload_len);
	if (payload < cursor->left && (payload || !IS_JUMBO(ctx, sizeof(*ip))))
		cursor->left = payload;
	packet->ip = ip;
	packet->bare = 1;
	packet->src_hi = src[0];
	packet->src_lo = src[1];
	packet->dst_hi = dst[0];
	packet->dst_lo = dst[1];
	packet->protocol = ip->nexthdr;
	if (is_extension(ip->nexthdr) || ip->nexthdr == IPPROTO_FRAGMENT) {
		struct place place = {
			.at = cursor->at - cursor->start,
			.left = cursor->left,
			.protocol = ip->nexthdr,
		};
		int outcome = walk_extensions(ctx, &place);

		if (outcome != UNDECIDED)
			return outcome;
		if (place.at > FARTHEST)
			return OUTCOME_MALFORMED;
		cursor->at = cursor->start + place.at;
		cursor->left = place.left;
		packet->protocol = place.protocol;
		packet->fragment = place.fragment;
		packet->bare = 0;
	}
	return UNDECIDED;
}

static __always_inline int is_ordinary(__u8 protocol, __u32 length, __u32 least)
{
	return length >= least &&
	       (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
}

/* What nearly every packet is: whole, TCP or UDP, neither options nor extension
 * headers.  For these the way over the general functions is 1.3 ns longer,
 * with two ends to watch at every header; what they say is the same.
 * 0: another packet, nothing is decided. */
static __always_inline int read_ordinary(const struct cursor *cursor,
					 struct packet *packet, int family)
{
	struct iphdr *ip4 = cursor->at;
	struct ipv6hdr *ip6 = cursor->at;
	__u32 *ports = family == 4 ? (__u32 *)(ip4 + 1) : (__u32 *)(ip6 + 1);

	if ((void *)(ports + 1) > cursor->end)
		return 0;
	if (family == 4) {
		if (*(__u8 *)ip4 != IPV4_PLAIN ||
		    ip4->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_OFFSET) ||
		    !is_ordinary(ip4->protocol, bpf_ntohs(ip4->tot_len),
				 sizeof(*ip4) + sizeof(*ports)))
			return 0;
		packet->src_lo = ip4->saddr;
		packet->dst_lo = ip4->daddr;
		packet->protocol = ip4->protocol;
	} else {
		__u64 *src = (__u64 *)&ip6->saddr;
		__u64 *dst = (__u64 *)&ip6->daddr;

		if (ip6->version != 6 ||
		    !is_ordinary(ip6->nexthdr, bpf_ntohs(ip6->payload_len),
				 sizeof(*ports)))
			return 0;
		packet->src_hi = src[0];
		packet->src_lo = src[1];
		packet->dst_hi = dst[0];
		packet->dst_lo = dst[1];
		packet->protocol = ip6->nexthdr;
	}
	packet->ip = cursor->at;
	packet->ports = *ports;
	packet->has_ports = 1;
	return 1;
}

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP ||
	       protocol == IPPROTO_UDPLITE;
}

#endif
