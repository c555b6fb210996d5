/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two ends of a wire that is measured: who sends, and who counts.
 * Used by the benchmark alone. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

/* The end of the driver when it sends for real.  Of the flow only the low half
 * of the client's address changes; what it adds to the checksum of the IPv4
 * header, the identification takes away. */
SEC("xdp")
int send(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)((struct ethhdr *)(long)ctx->data + 1);

	if ((void *)(ip + 1) > end)
		return XDP_DROP;
	ip->id = ~(__u16)(ip->saddr >> 16);
	return XDP_TX;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

/* Where packets end: counted, and gone. */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u32 at = 0;
	__u64 *count = bpf_map_lookup_elem(&arrived, &at);

	if (count)
		++*count;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
