/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP: errors follow the session they quote, echoes have an identifier.
 * docs/packets.md, sections 4 and 5. */
#ifndef REMAINDER_ICMP_H
#define REMAINDER_ICMP_H

#include "parse.h"

static __always_inline int is_icmp(__u8 protocol, int family)
{
	return protocol == (family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static __always_inline int is_error(__u8 type, int family)
{
	if (family == 4)
		return type == 3 || type == 11 || type == 12;
	return type >= 1 && type <= 4;
}

static __always_inline int is_echo_request(__u8 type, int family)
{
	return type == (family == 4 ? 8 : 128);
}

static __always_inline int is_echo(__u8 type, int family)
{
	return is_echo_request(type, family) || type == (family == 4 ? 0 : 129);
}

/* The packet that an ICMP error quotes: where it stands, whom it should be
 * from, and what was read of it. */
struct quote {
	struct place place;
	__u32 ports;            /* as in struct packet: already swapped */
	__u64 from_hi, from_lo; /* the VIP */
	__u64 to_hi, to_lo;
	__u8 family;
	__u8 foreign;
};

static __always_inline enum outcome quoted_ipv4(CONTEXT *ctx,
						struct quote *quote)
{
	struct iphdr *ip = at_place(ctx, &quote->place, sizeof(*ip));
	__u32 header;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return OUTCOME_MALFORMED;
	header = ip->ihl * 4;
	if (header > quote->place.left)
		return OUTCOME_MALFORMED;
	quote->place.at += header;
	quote->place.left -= header;
	quote->place.protocol = ip->protocol;
	quote->place.fragment = !!(ip->frag_off & bpf_htons(IP_OFFSET));
	quote->foreign = ip->saddr != (__u32)quote->from_lo;
	quote->to_lo = ip->daddr;
	return UNDECIDED;
}

static __always_inline enum outcome quoted_ipv6(CONTEXT *ctx,
						struct quote *quote)
{
	struct ipv6hdr *ip = at_place(ctx, &quote->place, sizeof(*ip));
	__u64 *src, *dst;

	if (!ip || ip->version != 6)
		return OUTCOME_MALFORMED;
	src = (__u64 *)&ip->saddr;
	dst = (__u64 *)&ip->daddr;
	quote->to_hi = dst[0];
	quote->to_lo = dst[1];
	quote->foreign = src[0] != quote->from_hi || src[1] != quote->from_lo;
	if (quote->foreign)
		return UNDECIDED;
	quote->place.at += sizeof(*ip);
	quote->place.left -= sizeof(*ip);
	quote->place.protocol = ip->nexthdr;
	return walk_extensions(ctx, &quote->place);
}

__noinline int read_quote(CONTEXT *ctx, struct quote *quote)
{
	int outcome;

	if (!quote)
		return OUTCOME_MALFORMED;
	outcome = quote->family == 4 ? quoted_ipv4(ctx, quote) :
				       quoted_ipv6(ctx, quote);
	if (outcome != UNDECIDED || quote->foreign || quote->place.fragment)
		return outcome;
	if (has_ports(quote->place.protocol)) {
		__u32 *ports = at_place(ctx, &quote->place, sizeof(*ports));

		if (!ports)
			return OUTCOME_MALFORMED;
		quote->ports = *ports << 16 | *ports >> 16;
	} else if (is_icmp(quote->place.protocol, quote->family)) {
		struct icmphdr *icmp =
			at_place(ctx, &quote->place, sizeof(*icmp));

		if (!icmp)
			return OUTCOME_MALFORMED;
		if (is_echo(icmp->type, quote->family))
			quote->ports = icmp->id;
	}
	return UNDECIDED;
}

/* The flow of an ICMP error is that of the packet it quotes, sides swapped. */
static __always_inline enum outcome read_error(CONTEXT *ctx,
					       struct cursor *cursor,
					       struct packet *packet,
					       int family)
{
	struct quote quote = {
		.place.at = cursor->at - cursor->start,
		.place.left = cursor->left,
		.place.quoted = 1,
		.from_hi = packet->dst_hi,
		.from_lo = packet->dst_lo,
		.family = family,
	};
	int outcome = read_quote(ctx, &quote);

	packet->src_hi = quote.to_hi;
	packet->src_lo = quote.to_lo;
	packet->ports = quote.ports;
	packet->protocol = quote.place.protocol;
	packet->fragment = quote.place.fragment;
	packet->foreign = quote.foreign;
	packet->error = 1;
	return outcome;
}

/* What an ICMP message tells of its flow; nothing for other protocols. */
static __always_inline enum outcome read_icmp(CONTEXT *ctx,
					      struct cursor *cursor,
					      struct packet *packet, int family)
{
	struct icmphdr *icmp;

	if (packet->fragment || !is_icmp(packet->protocol, family))
		return UNDECIDED;
	icmp = take(cursor, struct icmphdr);
	if (!icmp)
		return OUTCOME_MALFORMED;
	if (is_error(icmp->type, family))
		return read_error(ctx, cursor, packet, family);
	if (is_echo(icmp->type, family))
		packet->ports = icmp->id;
	if (is_echo_request(icmp->type, family) && !icmp->code && packet->bare)
		packet->icmp = icmp;
	return UNDECIDED;
}

#endif
