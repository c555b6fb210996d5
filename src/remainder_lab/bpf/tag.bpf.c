/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A trunk port of a switch: what leaves gets the tag of the VLAN, what comes
 * without it is in another network, and dropped. */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN 5
#define VLAN_BITS 0x0fff

SEC("tc")
int tag(struct __sk_buff *skb)
{
	bool failed = bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), VLAN);

	return failed ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int untag(struct __sk_buff *skb)
{
	if (!skb->vlan_present || (skb->vlan_tci & VLAN_BITS) != VLAN)
		return TC_ACT_SHOT;
	return bpf_skb_vlan_pop(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
