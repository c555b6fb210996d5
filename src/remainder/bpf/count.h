/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every packet counts once among the outcomes. */
#ifndef REMAINDER_COUNT_H
#define REMAINDER_COUNT_H

#include "maps.h"

static __always_inline void add(void *counters, __u32 at, __u64 bytes)
{
	struct count *count = bpf_map_lookup_elem(counters, &at);

	if (count) {
		count->packets++;
		count->bytes += bytes;
	}
}

/* The program sees the first buffer of a frame; what has several is longer.
 * Asking costs a call, so only who must expect it asks. */
static __always_inline __u64 frame_bytes(struct xdp_md *ctx)
{
	if (settings.features & FEATURE_BUFFERS)
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

static __always_inline int verdict_of(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_FORWARDED:
	case OUTCOME_FORWARDED_ERROR:
	case OUTCOME_ECHO_ANSWERED:
	case OUTCOME_NEIGHBOUR_ANSWERED:
	case OUTCOME_PASSED_ON:
		return XDP_TX;
	case OUTCOME_FRAGMENT_DROPPED:
	case OUTCOME_UNRESOLVED:
	case OUTCOME_NO_OWNER:
	case OUTCOME_TTL_EXPIRED:
	case OUTCOME_LEFT:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

#endif
