/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A flood at a pace, each packet from another source, and the dam that stops
 * it before the servers.  Used by the benchmark alone.  Twin: flood_programs.py.
 *
 * The pace is kept in here: a call into the kernel for every few packets would
 * cost far more than the packets. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HEADERS 56         /* Ethernet, IPv4 and TCP are 54 */
#define SOURCES 0xc6120000 /* 198.18.0.0/15, for benchmarks (RFC 2544) */
#define SOURCE_BITS 17
#define FIRST_PORT 1024
#define MOST_LOOKS (1 << 22) /* at the clock: a tenth of a second */

struct flood {
	__u8 headers[HEADERS];
	__u64 interval_ps; /* from one packet to the next */
	__u64 group;       /* packets between two looks at the clock, minus 1 */
	__u64 gap_ns;      /* at least so much from one group to the next */
	__u64 first;    /* where in the sequence of sources this run begins */
	__u64 packets;  /* so far in this run */
	__u64 start_ns; /* of this run, on the kernel's clock */
	__u64 last_ns;  /* the latest look at the clock */
};

struct flood flood SEC(".data.flood");

static long is_due(__u32 look, __u64 *due_ns)
{
	flood.last_ns = bpf_ktime_get_ns();
	return flood.last_ns >= *due_ns;
}

/* Who is late catches up, but never in a burst, which no queue would hold. */
static __always_inline void wait_for(__u64 packet)
{
	__u64 due_ns, soonest_ns = flood.last_ns + flood.gap_ns;

	if (packet == 0)
		flood.start_ns = bpf_ktime_get_ns();
	due_ns = flood.start_ns + packet * flood.interval_ps / 1000;
	if (due_ns < soonest_ns)
		due_ns = soonest_ns;
	bpf_loop(MOST_LOOKS, is_due, &due_ns, 0);
}

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What the next source adds to a checksum, another field takes away. */
static __always_inline void write_source(struct iphdr *ip, struct tcphdr *tcp,
					 __u64 number)
{
	__u32 address = number & ((1 << SOURCE_BITS) - 1);
	__u16 varied;

	ip->saddr = bpf_htonl(SOURCES + address);
	tcp->source = bpf_htons(FIRST_PORT + (number >> SOURCE_BITS));
	varied = folded((ip->saddr & 0xffff) + (ip->saddr >> 16));
	ip->id = ~varied;
	tcp->seq = (__u16)~folded(varied + tcp->source);
}

SEC("xdp")
int send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data,
	     *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	__u64 packet = flood.packets++;

	if ((packet & flood.group) == 0)
		wait_for(packet);
	if (data + HEADERS > end)
		return XDP_ABORTED;
	/* The frame that was sent before comes again as the receiver left it. */
	__builtin_memcpy(data, flood.headers, HEADERS);
	write_source(ip, tcp, flood.first + packet);
	return XDP_TX;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} stopped SEC(".maps");

/* At a server: the flood is counted and ends here, everything else passes. */
SEC("xdp")
int dam(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 at = 0;
	__u64 *count;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    bpf_ntohl(ip->saddr) >> SOURCE_BITS != SOURCES >> SOURCE_BITS)
		return XDP_PASS;
	count = bpf_map_lookup_elem(&stopped, &at);
	if (count)
		++*count;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
