/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A switch of the lab, for where a bridge would be slower than what is
 * measured behind it: one program on all ports.  Twin: switching.py.
 *
 * The last byte of a MAC address is the number of its port, so there is
 * nothing to learn. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

#define PORTS 64
#define GROUP_BIT 1 /* of the first byte: broadcast and multicast */

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	if (eth->h_dest[0] & GROUP_BIT)
		return bpf_redirect_map(
			&ports, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
	return bpf_redirect_map(&ports, eth->h_dest[ETH_ALEN - 1], XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
