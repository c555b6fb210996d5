/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the balancer is measured against, in the same run: doing nothing,
 * reading the headers, and remembering every session.
 * Used by the benchmark alone. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SERVERS 4

struct ethernet {
	__u16 dst[3];
	__u16 src[3];
	__be16 type;
};

/* Everything is net of this one. */
SEC("xdp")
int only_return(struct xdp_md *ctx)
{
	return XDP_TX;
}

/* The least that any balancer does: Ethernet, IP and ports, in bounds. */
SEC("xdp")
int parse_only(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethernet *eth = (void *)(long)ctx->data;
	void *ip = eth + 1;
	__be16 *ports;

	if (ip > end)
		return XDP_DROP;
	if (eth->type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip4 = ip;

		if ((void *)(ip4 + 1) > end || ip4->ihl != 5 ||
		    ip4->protocol != IPPROTO_TCP)
			return XDP_DROP;
		ports = (void *)(ip4 + 1);
	} else {
		struct ipv6hdr *ip6 = ip;

		if (eth->type != bpf_htons(ETH_P_IPV6) ||
		    (void *)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_TCP)
			return XDP_DROP;
		ports = (void *)(ip6 + 1);
	}
	if ((void *)(ports + 2) > end)
		return XDP_DROP;
	return ports[1] == bpf_htons(80) ? XDP_TX : XDP_PASS;
}

struct session {
	__be32 source, destination;
	__u32 ports, protocol;
};

/* Python sets the size: there is always room for all flows of a row. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct session);
	__type(value, __u32);
} sessions SEC(".maps");

/* The usual way: a table of sessions, and a choice for those not in it. */
SEC("xdp")
int remember(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethernet *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 *ports = (void *)(ip + 1), *server, chosen;
	struct session session;

	if ((void *)(ports + 1) > end || eth->type != bpf_htons(ETH_P_IP) ||
	    ip->ihl != 5)
		return XDP_PASS;
	session.source = ip->saddr;
	session.destination = ip->daddr;
	session.ports = *ports;
	session.protocol = ip->protocol;
	server = bpf_map_lookup_elem(&sessions, &session);
	chosen = server ? *server : (ip->saddr ^ *ports) % SERVERS;
	if (!server)
		bpf_map_update_elem(&sessions, &session, &chosen, BPF_ANY);
	eth->src[2] = eth->dst[2];
	eth->dst[2] = chosen;
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
