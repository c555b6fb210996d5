/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Method l2: new MAC addresses, nothing else.  Twin: forwarding/l2.py. */
#ifndef REMAINDER_FORWARD_L2_H
#define REMAINDER_FORWARD_L2_H

#include "abi.h"
#include "parse.h"

static __always_inline void send_to(struct ethernet *eth,
				    const struct owner *owner)
{
	*word(eth->dst) = *(const __u32 *)owner->mac;
	eth->dst[2] = *(const __u16 *)(owner->mac + 4);
}

static __always_inline void forward_l2(struct ethernet *eth,
				       const struct owner *owner)
{
	/* The frame was for us: its destination is our own address. */
	*word(eth->src) = *word(eth->dst);
	eth->src[2] = eth->dst[2];
	send_to(eth, owner);
}

#endif
