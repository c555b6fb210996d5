/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Over the VLAN tag that a frame may have, to its family: docs/packets.md,
 * section 1.
 *
 * A node serves one VLAN, or the untagged frames; live.vlan says which.
 */
#ifndef REMAINDER_VLAN_H
#define REMAINDER_VLAN_H

#include "maps.h"
#include "parse.h"

/* The raw ID of a VLAN tag that the kernel keeps beside the frame, where a
 * program is shown it. */
#define NO_TAG (-1)
#ifndef TAG_BESIDE
#define TAG_BESIDE(ctx) NO_TAG
#endif

#define VLAN_ID_MASK bpf_htons(0x0fff)

struct vlanhdr {
	__be16 tag;
	__be16 type;
};

/* Whether frames with the tag of ours, or none, may be of a family. */
static __always_inline int serves_family(int family)
{
	__u32 plain = family == 4 ? FEATURE_IPV4 : FEATURE_IPV6;
	__u32 tagged = family == 4 ? FEATURE_TAGGED_IPV4 : FEATURE_TAGGED_IPV6;

	return live.vlan ? settings.features & tagged :
			   settings.features & plain;
}

/* Over the tag that a frame may have, to the family. */
static __always_inline enum outcome
read_tag(CONTEXT *ctx, struct cursor *cursor, struct packet *packet)
{
	__be16 type = packet->eth->type;
	__s32 tag = TAG_BESIDE(ctx);

	if (tag == NO_TAG && type == bpf_htons(ETH_P_8021Q)) {
		struct vlanhdr *vlan = take(cursor, struct vlanhdr);

		if (!vlan)
			return OUTCOME_MALFORMED;
		tag = vlan->tag & VLAN_ID_MASK;
		type = vlan->type;
	}
	/* A priority tag, with ID 0, says nothing of a VLAN. */
	if ((tag == NO_TAG ? 0 : tag) != (__s32)live.vlan ||
	    type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD))
		return OUTCOME_OTHER_VLAN;
	if (type == bpf_htons(ETH_P_IP)) {
		packet->family = 4;
		return serves_family(4) ? UNDECIDED : OUTCOME_NOT_VIP;
	}
	if (type == bpf_htons(ETH_P_IPV6)) {
		packet->family = 6;
		return serves_family(6) ? UNDECIDED : OUTCOME_NOT_VIP;
	}
	return OUTCOME_NOT_IP;
}

/* To the family.  Nearly all frames are untagged, and need one feature. */
static __always_inline enum outcome read_ethertype(CONTEXT *ctx,
						   struct cursor *cursor,
						   struct packet *packet,
						   __u32 *need)
{
	/* By words: as the packed struct ethhdr it would be read by bytes. */
	__be16 type = packet->eth->type;

	if (TAG_BESIDE(ctx) == NO_TAG && type == bpf_htons(ETH_P_IP)) {
		packet->family = 4;
		*need = FEATURE_IPV4;
		return UNDECIDED;
	}
	if (TAG_BESIDE(ctx) == NO_TAG && type == bpf_htons(ETH_P_IPV6)) {
		packet->family = 6;
		*need = FEATURE_IPV6;
		return UNDECIDED;
	}
	*need = ~0U;
	return read_tag(ctx, cursor, packet);
}

/* Of an untagged frame that no service needs. */
static __always_inline enum outcome not_needed(void)
{
	return live.vlan ? OUTCOME_OTHER_VLAN : OUTCOME_NOT_VIP;
}

#endif
