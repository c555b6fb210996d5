/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who asks for a shared address is told the MAC address that reaches every
 * member: docs/packets.md, section 10.
 *
 * Every member says the same, so it does not matter who is heard.  ARP: RFC
 * 826.  Neighbour discovery: RFC 4861, sections 4.3, 4.4 and 7.2.4.
 */
#ifndef REMAINDER_NEIGHBOUR_H
#define REMAINDER_NEIGHBOUR_H

#include "find.h"
#include "vlan.h"

struct arp {
	__be16 hardware, protocol; /* 1, 0x0800 */
	__u8 hardware_bytes, protocol_bytes;
	__be16 operation;
	__u16 sender_mac[3], sender_ip[2];
	__u16 target_mac[3], target_ip[2];
};

/* Neighbour solicitation with one option, the asker's MAC address; and the
 * advertisement that it becomes. */
struct solicitation {
	__u16 ip[2];
	__be16 payload;
	__u8 next, hop_limit;
	__u16 src[8], dst[8];
	__u8 type, code;
	__u16 checksum;
	__u16 flags[2];
	__u16 target[8];
	__u8 option, option_length; /* 1, 1; in the answer 2, 1 */
	__u16 mac[3];
};

#define ADVERTISEMENT_BYTES 32

static __always_inline void copy_words(__u16 *to, const __u16 *from, int words)
{
#pragma unroll
	for (int i = 0; i < words; i++)
		to[i] = from[i];
}

static __always_inline void put_mac(__u16 *to, __u64 mac)
{
	to[0] = mac;
	to[1] = mac >> 16;
	to[2] = mac >> 32;
}

/* Behind the Ethernet header of a question, and the tag that it may have. */
static __always_inline void *behind_tag(struct ethernet *eth)
{
	void *at = eth + 1;

	return eth->type == bpf_htons(ETH_P_8021Q) ?
		       at + sizeof(struct vlanhdr) :
		       at;
}

/* Whether a cluster has this very address; "any" does not count, and it is
 * how a table writes the unspecified address. */
static __always_inline int is_shared(__u64 hi, __u64 lo, int family)
{
	struct tables *tables = current_tables();
	struct service *service;

	if (!tables || (!hi && !lo))
		return 0;
	service = probe(tables, hi, lo, match_of(0, 0, family), family);
	return service && service->slots;
}

static __always_inline void answer_to(struct ethernet *eth)
{
	copy_words(eth->dst, eth->src, 3);
	put_mac(eth->src, live.mac);
}

__noinline int answer_arp(struct xdp_md *ctx)
{
	struct ethernet *eth = (void *)(long)ctx->data;
	__u16 address[2];
	struct arp *arp;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return 0;
	arp = behind_tag(eth);
	if ((void *)(arp + 1) > (void *)(long)ctx->data_end ||
	    arp->hardware != bpf_htons(1) ||
	    arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_bytes != 6 ||
	    arp->protocol_bytes != 4 || arp->operation != bpf_htons(1) ||
	    !is_shared(0, *word(arp->target_ip), 4))
		return 0;
	answer_to(eth);
	arp->operation = bpf_htons(2);
	copy_words(address, arp->target_ip, 2);
	copy_words(arp->target_mac, arp->sender_mac, 3);
	copy_words(arp->target_ip, arp->sender_ip, 2);
	put_mac(arp->sender_mac, live.cluster_mac);
	copy_words(arp->sender_ip, address, 2);
	return 1;
}

/* Over the pseudo header (RFC 8200, 8.1) and the message: one's complement
 * sums do not care for byte order, so raw words do. */
static __always_inline __u16 checksum_of(struct solicitation *message)
{
	__u16 *words = (__u16 *)&message->type;
	__u32 sum = bpf_htons(ADVERTISEMENT_BYTES) + bpf_htons(IPPROTO_ICMPV6);

#pragma unroll
	for (int i = 0; i < 8; i++)
		sum += message->src[i] + message->dst[i];
#pragma unroll
	for (int i = 0; i < ADVERTISEMENT_BYTES / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

__noinline int answer_solicitation(struct xdp_md *ctx)
{
	struct ethernet *eth = (void *)(long)ctx->data;
	struct solicitation *asked;
	__u16 *target;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return 0;
	asked = behind_tag(eth);
	if ((void *)(asked + 1) > (void *)(long)ctx->data_end ||
	    *(__u8 *)asked->ip >> 4 != 6 ||
	    asked->payload != bpf_htons(ADVERTISEMENT_BYTES) ||
	    asked->next != IPPROTO_ICMPV6 || asked->hop_limit != 255 ||
	    asked->type != 135 || asked->code || asked->option != 1 ||
	    asked->option_length != 1)
		return 0;
	if (!*word(asked->src) && !*word(asked->src + 2))
		return 0; /* somebody looks for a free address */
	target = asked->target;
	if (!is_shared(*word(target) | (__u64)*word(target + 2) << 32,
		       *word(target + 4) | (__u64)*word(target + 6) << 32, 6))
		return 0;
	answer_to(eth);
	copy_words(asked->dst, asked->src, 8);
	copy_words(asked->src, target, 8);
	asked->type = 136;
	asked->flags[0] = bpf_htons(0x6000); /* solicited, override */
	asked->flags[1] = 0;
	asked->option = 2;
	put_mac(asked->mac, live.cluster_mac);
	asked->checksum = 0;
	asked->checksum = checksum_of(asked);
	return 1;
}

/* Turns the question into its answer; 0 if it is none. */
static __always_inline int asks_for_shared_address(struct xdp_md *ctx)
{
	struct ethernet *eth = (void *)(long)ctx->data;
	struct vlanhdr *vlan = (void *)(eth + 1);
	__be16 type;
	__u16 id = 0;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return 0;
	type = eth->type;
	if (type == bpf_htons(ETH_P_IP))
		return 0; /* nearly all */
	if (type == bpf_htons(ETH_P_8021Q)) {
		if ((void *)(vlan + 1) > (void *)(long)ctx->data_end)
			return 0;
		id = vlan->tag & VLAN_ID_MASK;
		type = vlan->type;
	}
	if (id != live.vlan)
		return 0;
	if (type == bpf_htons(ETH_P_ARP))
		return answer_arp(ctx);
	/* Solicitations go to 33:33:ff:…, or to who is asked again. */
	if (type == bpf_htons(ETH_P_IPV6) &&
	    (eth->dst[0] == bpf_htons(0x3333) ||
	     destination_of(eth) == live.cluster_mac))
		return answer_solicitation(ctx);
	return 0;
}

#endif
