/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Passes everything.  A veth delivers what its peer sends back by native XDP
 * only if it has a program of its own; this is the one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
