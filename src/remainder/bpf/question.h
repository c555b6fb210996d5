/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet as numbers, which a global function may be handed, and what the
 * calculations say of it: way.h answers, sockets.h asks the kernel's sockets.
 */
#ifndef REMAINDER_QUESTION_H
#define REMAINDER_QUESTION_H

#include "parse.h"

/* Whom a calculation names. */
struct asked {
	__u32 counter; /* tells the owners of a service apart */
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
	/* The answer of find_way. */
	struct asked owners[CHANCES_MAX + 1]; /* newest calculation first */
	__u8 earlier;                         /* calculations but the newest */
	__u8 is_on_way;                       /* one of them names this node */
	__u8 is_alone;                        /* all of them do */
	/* The answer of find_next. */
	__u8 next; /* its place among the owners */
	__u8 ttl_left;
	__u8 pad2[3];
};

static __always_inline __u32 offset_of(CONTEXT *ctx, void *at)
{
	return at ? at - (void *)(long)ctx->data : 0;
}

static __always_inline struct question
question_of(CONTEXT *ctx, const struct packet *packet, int family)
{
	struct iphdr *ip4 = packet->ip;
	struct ipv6hdr *ip6 = packet->ip;
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
		.ttl = family == 4 ? ip4->ttl : ip6->hop_limit,
		.ip_at = offset_of(ctx, packet->ip),
		.transport_at = offset_of(ctx, packet->transport),
	};

	return question;
}

#endif
