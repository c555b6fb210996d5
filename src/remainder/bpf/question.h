/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet as numbers, which a global function may be handed, and what the
 * calculations say of it: way.h answers, sockets.h asks the kernel's sockets.
 */
#ifndef REMAINDER_QUESTION_H
#define REMAINDER_QUESTION_H

#include "parse.h"

/* A TTL from here on says that no server has begun the way of a packet: a
 * balancer with an older file has sent it halfway.  How much it is above says
 * how many calculations are older than the one by which it came, up to one
 * less than the most; what is larger yet comes from the balancer itself. */
#define HALFWAY (CHANCES_MAX + 2)

/* An owner on the way of a packet. */
struct asked {
	__u32 counter;
	__u16 mac[3];
	__u8 flags; /* enum owner_flag */
	__u8 pad;
};

struct question {
	/* As in struct packet. */
	__u64 src_hi, src_lo;
	__u64 dst_hi, dst_lo;
	__u32 ports;
	__u8 family;
	__u8 protocol;
	__u8 fragment;
	__u8 error;
	__u8 foreign;
	__u8 has_ports;
	__u8 ttl;
	__u8 pad;
	__u32 ip_at;        /* bytes into the frame */
	__u32 transport_at; /* likewise; 0: of an error, or without ports */
	/* The answer of find_way, and of find_down as to "next" and "most". */
	struct asked next; /* who is asked after this node */
	__u8 most;         /* TTL that it is left */
	__u8 is_ours;      /* this node owns it now */
	__u8 is_on_way;    /* this node owns it now, or did before */
	__u8 has_next;
	__u8 pad2[4];
};

static __always_inline __u32 offset_of(CONTEXT *ctx, void *at)
{
	return at ? at - (void *)(long)ctx->data : 0;
}

static __always_inline struct question
question_of(CONTEXT *ctx, const struct packet *packet, int family)
{
	struct question question = {
		.src_hi = packet->src_hi,
		.src_lo = packet->src_lo,
		.dst_hi = packet->dst_hi,
		.dst_lo = packet->dst_lo,
		.ports = packet->ports,
		.family = family,
		.protocol = packet->protocol,
		.fragment = packet->fragment,
		.error = packet->error,
		.foreign = packet->foreign,
		.has_ports = packet->has_ports,
		.ttl = family == 4 ? ((struct iphdr *)packet->ip)->ttl :
				     ((struct ipv6hdr *)packet->ip)->hop_limit,
		.ip_at = offset_of(ctx, packet->ip),
		.transport_at = offset_of(ctx, packet->transport),
	};

	return question;
}

#endif
