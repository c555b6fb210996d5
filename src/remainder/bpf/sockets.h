/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether this machine knows a session: docs/packets.md, section 12.
 *
 * The kernel's own sockets are asked, so nothing is remembered here.
 */
#ifndef REMAINDER_SOCKETS_H
#define REMAINDER_SOCKETS_H

#include <linux/tcp.h>

#include "maps.h"
#include "question.h"

enum tcp_state {
	STATE_TIME_WAIT = 6, /* net/tcp_states.h */
	STATE_LISTEN = 10,
};

/* What the kernel remembers of a closed session; where, it says itself (BTF). */
struct sock_common {
	__u32 skc_tw_rcv_nxt;
} __attribute__((preserve_access_index));

struct inet_timewait_sock {
	struct sock_common __tw_common;
} __attribute__((preserve_access_index));

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
	__u32 tw_rcv_wnd;
} __attribute__((preserve_access_index));

enum knowledge {
	NEW,     /* a SYN: whoever gets it has it */
	KNOWN,   /* a session of this machine */
	UNKNOWN, /* a listener, and no such session */
	BLIND,   /* no listener here either: its sessions may be elsewhere */
	NONE,    /* no session: the packet ends before its TCP header does */
};

/* A header whose place is known as a number. */
static __always_inline void *header_at(CONTEXT *ctx, __u32 at, __u32 bytes)
{
	void *header = (void *)(long)ctx->data;

	if (at > FARTHEST)
		return 0;
	header += at;
	if (header + bytes > (void *)(long)ctx->data_end)
		return 0;
	return header;
}

/* Where the packet ends, as its IP header says: what stands behind it only
 * fills the frame. */
static __always_inline __u32 end_of(const void *ip, __u32 ip_at, int family)
{
	const struct iphdr *ip4 = ip;
	const struct ipv6hdr *ip6 = ip;

	return ip_at + (family == 4 ?
				bpf_ntohs(ip4->tot_len) :
				sizeof(*ip6) + bpf_ntohs(ip6->payload_len));
}

static __always_inline struct bpf_sock *
socket_of(CONTEXT *ctx, const struct question *question, int family)
{
	struct bpf_sock_tuple tuple = {};

	if (family == 4) {
		tuple.ipv4.saddr = question->src_lo;
		tuple.ipv4.daddr = question->dst_lo;
		tuple.ipv4.sport = question->ports;
		tuple.ipv4.dport = question->ports >> 16;
		return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4),
					  BPF_F_CURRENT_NETNS, 0);
	}
	tuple.ipv6.saddr[0] = question->src_hi;
	tuple.ipv6.saddr[1] = question->src_hi >> 32;
	tuple.ipv6.saddr[2] = question->src_lo;
	tuple.ipv6.saddr[3] = question->src_lo >> 32;
	tuple.ipv6.daddr[0] = question->dst_hi;
	tuple.ipv6.daddr[1] = question->dst_hi >> 32;
	tuple.ipv6.daddr[2] = question->dst_lo;
	tuple.ipv6.daddr[3] = question->dst_lo >> 32;
	tuple.ipv6.sport = question->ports;
	tuple.ipv6.dport = question->ports >> 16;
	return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6),
				  BPF_F_CURRENT_NETNS, 0);
}

/* A session that ended here, or another that uses its ports again elsewhere? */
static __always_inline int is_of_closed(struct bpf_sock *socket,
					const struct tcphdr *tcp)
{
	struct tcp_timewait_sock *closed = bpf_skc_to_tcp_timewait_sock(socket);
	__u32 ahead;

	if (!closed)
		return 0;
	ahead = bpf_ntohl(tcp->seq) - closed->tw_sk.__tw_common.skc_tw_rcv_nxt;
	return (__s32)ahead <= (__s32)closed->tw_rcv_wnd;
}

/* The packet after a SYN cookie finds only the listener. */
static __always_inline int brings_cookie(struct bpf_sock *listener, void *ip,
					 struct tcphdr *tcp, int family)
{
	if (!tcp->ack || tcp->syn || tcp->rst)
		return 0;
	return !bpf_tcp_check_syncookie(listener, ip,
					family == 4 ? sizeof(struct iphdr) :
						      sizeof(struct ipv6hdr),
					tcp, sizeof(*tcp));
}

static __always_inline enum knowledge
ask(CONTEXT *ctx, const struct question *question, int family)
{
	__u32 ip_bytes = family == 4 ? sizeof(struct iphdr) :
				       sizeof(struct ipv6hdr);
	struct tcphdr *tcp = 0;
	struct bpf_sock *socket;
	int known = 1;
	void *ip = header_at(ctx, question->ip_at, ip_bytes);

	if (!ip)
		return NONE;
	if (!question->error) {
		__u32 at = question->transport_at;

		tcp = header_at(ctx, at, sizeof(*tcp));
		if (!tcp ||
		    at + sizeof(*tcp) > end_of(ip, question->ip_at, family))
			return NONE;
		if (tcp->syn && !tcp->ack && !tcp->rst)
			return NEW;
	}
	socket = socket_of(ctx, question, family);
	if (!socket)
		return BLIND;
	/* An error tells of what was sent, so it has neither a cookie nor a
	 * place among what was received. */
	if (socket->state == STATE_LISTEN)
		known = tcp && brings_cookie(socket, ip, tcp, family);
	else if (socket->state == STATE_TIME_WAIT)
		known = tcp && is_of_closed(socket, tcp);
	bpf_sk_release(socket);
	return known ? KNOWN : UNKNOWN;
}

__noinline int knowledge_of(CONTEXT *ctx, struct question *question)
{
	if (!question)
		return NONE;
	if (question->family == 4)
		return settings.features & FEATURE_IPV4 ?
			       ask(ctx, question, 4) :
			       NONE;
	return settings.features & FEATURE_IPV6 ? ask(ctx, question, 6) : NONE;
}

#endif
