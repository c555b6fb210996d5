/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a packet gets to its owner: docs/packets.md, section 9.
 *
 * Twin: forwarding/, a file for each method.
 */
#ifndef REMAINDER_FORWARD_H
#define REMAINDER_FORWARD_H

#include "abi.h"
#include "maps.h"
#include "parse.h"

static __always_inline void send_to(struct ethernet *eth,
				    const struct owner *owner)
{
	*word(eth->dst) = *(const __u32 *)owner->mac;
	eth->dst[2] = *(const __u16 *)(owner->mac + 4);
}

/* Every forwarding costs one TTL, so a packet that balancers pass round ends.
 * 0: it ends here. */
static __always_inline int spend_ttl(void *ip, int family)
{
	__u32 *ttl_and_checksum, checksum;
	struct ipv6hdr *ip6 = ip;

	if (family == 6) {
		if (ip6->hop_limit <= 1)
			return 0;
		ip6->hop_limit--;
		return 1;
	}
	ttl_and_checksum = word(&((struct iphdr *)ip)->ttl);
	if ((__u8)*ttl_and_checksum <= 1)
		return 0;
	/* RFC 1624: raw words are little-endian, so the TTL that goes down by
	 * one in its low byte puts the sum up by one. */
	checksum = (*ttl_and_checksum >> 16) + 1;
	checksum += checksum >= 0xffff;
	*ttl_and_checksum = ((*ttl_and_checksum & 0xffff) - 1) | checksum << 16;
	return 1;
}

/* Method l2: new MAC addresses. */
static __always_inline void forward_l2(struct ethernet *eth,
				       const struct owner *owner)
{
	/* The frame was for us: its destination is our own address. */
	*word(eth->src) = *word(eth->dst);
	eth->src[2] = eth->dst[2];
	send_to(eth, owner);
}

/* By the method of its service. */
static __always_inline enum outcome forward(struct packet *packet,
					    const struct service *service,
					    const struct owner *owner,
					    int family)
{
	if (!spend_ttl(packet->ip, family))
		return OUTCOME_TTL_EXPIRED;
	switch (service->method) {
	case METHOD_L2:
	default: /* the only one so far */
		forward_l2(packet->eth, owner);
	}
	return packet->error ? OUTCOME_FORWARDED_ERROR : OUTCOME_FORWARDED;
}

#endif
