/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Feeds a program under test with fresh packets, as fast as the kernel can run
 * it.  Twin: stopwatch.py.
 *
 * The kernel's own test run does not restore a packet between repetitions, so
 * a program that changes it would see its own output the second time.  Here
 * every run gets the template anew, with the next flow written into it, and
 * time is taken once a chunk, so that the clock costs nothing.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TEMPLATE 128
#define CHUNKS 32

struct watch {
	__u8 frame[TEMPLATE]; /* headers are restored from here */
	__u32 length;
	__u32 wide; /* 1: addresses are IPv6, their low halves are written */
	__u32 source_at; /* where the client's address stands */
	__u32 ports_at;
	__u32 ports;       /* raw, the client's port left zero */
	__u32 ports_shift; /* 0 or 16: the client's port comes first or second */
	__u32 vip_at;
	__u32 vip_again_at; /* ICMP errors have it twice; else as vip_at */
	__u64 source;       /* the first client */
	__u64 vip;          /* the first VIP */
	__u32 vips;         /* how many there are in a row */
	__u32 flow_mask;   /* flows - 1; all ones: every packet is a new flow */
	__u64 first;       /* where in the sequence of flows this run begins */
	__u64 packets;     /* so far in this run */
	__u64 chunk_shift; /* log2 of the packets of a chunk */
	__u64 stamps[CHUNKS + 1]; /* ns */
};

struct watch watch SEC(".data.watch");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

static __always_inline void stamp(__u64 packet)
{
	__u64 chunk = packet >> watch.chunk_shift;

	if (packet == chunk << watch.chunk_shift && chunk <= CHUNKS)
		watch.stamps[chunk] = bpf_ktime_get_ns();
}

/* IP begins at byte 14, so words stand at 14, 22, 30 ...: every field that a
 * program loads lies inside one store.  A load across two stores would wait
 * for both to reach the cache, which packets from a NIC never do. */
static __always_inline void restore(void *data, void *end)
{
	if (data + 8 > end)
		return;
	*(__u64 *)data = *(__u64 *)watch.frame;
#pragma unroll
	for (int at = 6; at + 8 <= TEMPLATE; at += 8) {
		if (data + at + 8 > end)
			break;
		*(__u64 *)(data + at) = *(__u64 *)(watch.frame + at);
	}
}

static __always_inline void write_address(void *data, void *end, __u32 at,
					  __u64 address)
{
	at &= TEMPLATE - 1;
	if (watch.wide && data + at + 8 <= end)
		*(__u64 *)(data + at) = bpf_cpu_to_be64(address);
	else if (data + at + 4 <= end)
		*(__u32 *)(data + at) = bpf_htonl((__u32)address);
}

static __always_inline void write_flow(void *data, void *end, __u32 number)
{
	__u32 mixed = number * 0x9e3779b1, flow, at = watch.ports_at;
	__u64 vip = watch.vip + ((__u64)mixed * watch.vips >> 32);

	flow = watch.flow_mask == 0xffffffff ?
		       number :
		       (mixed ^ mixed >> 15) & watch.flow_mask;
	write_address(data, end, watch.source_at,
		      watch.source + (flow & 0xffff));
	write_address(data, end, watch.vip_at, vip);
	if (watch.vip_again_at != watch.vip_at)
		write_address(data, end, watch.vip_again_at, vip);
	at &= TEMPLATE - 1;
	if (data + at + 4 <= end)
		*(__u32 *)(data + at) = watch.ports |
					(__u32)bpf_htons((flow >> 16) + 1024)
						<< (watch.ports_shift & 16);
}

SEC("xdp")
int driver(struct xdp_md *ctx)
{
	__u64 packet = watch.packets++;
	int grown = (int)watch.length - (int)(ctx->data_end - ctx->data);

	/* Undo what the program before did to the head. */
	if (grown && bpf_xdp_adjust_head(ctx, -grown))
		return XDP_ABORTED;
	stamp(packet);
	restore((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	write_flow((void *)(long)ctx->data, (void *)(long)ctx->data_end,
		   watch.first + packet);
	/* A constant index is a direct jump: 0.6 ns. */
	bpf_tail_call(ctx, &under_test, 0);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
