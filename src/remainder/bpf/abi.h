/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What crosses the boundary between Python and the kernel.
 *
 * Twin: kernel/abi.py.  A test compares every struct and enum by BTF, so
 * nothing here is copied by hand unchecked.
 *
 * "raw" means: the bytes as they stand in the packet, loaded as one word of
 * the (little-endian) machine.  Comparing and hashing need no byte swap then.
 */
#ifndef REMAINDER_ABI_H
#define REMAINDER_ABI_H

#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw words and SipHash are written for little-endian machines"
#endif

/* What became of a packet.  docs/packets.md says what each one means to an
 * operator, outcome.py says it to programs. */
enum outcome {
	OUTCOME_FORWARDED,
	OUTCOME_FORWARDED_ERROR,
	OUTCOME_ECHO_ANSWERED,
	OUTCOME_NOT_IP,
	OUTCOME_OTHER_MAC,
	OUTCOME_NOT_VIP,
	OUTCOME_NO_SERVICE,
	OUTCOME_MALFORMED,
	OUTCOME_TOO_MANY_HEADERS,
	OUTCOME_FRAGMENT_DROPPED,
	OUTCOME_UNRESOLVED,
	OUTCOME_NO_OWNER,
	OUTCOME_TTL_EXPIRED,
	OUTCOME_KEPT,
	OUTCOME_LEFT,
	OUTCOME_NEIGHBOUR_ANSWERED,
	OUTCOME_RETURNED,
	OUTCOME_ON_LINK,
	OUTCOME_ECHO_TOO_LARGE,
	OUTCOME_OTHER_OWN_MAC,
	OUTCOME_OTHER_VLAN,
	OUTCOME_KEPT_NEW,
	OUTCOME_KEPT_KNOWN,
	OUTCOME_KEPT_EARLIER,
	OUTCOME_KEPT_UNKNOWN,
	OUTCOME_KEPT_BLIND,
	OUTCOME_PASSED_ON,
	OUTCOME_MAX,
};

enum method {
	METHOD_L2,
};

/* What the services of a file need.  Set before load: the verifier then drops
 * the code that nobody needs. */
enum feature {
	FEATURE_IPV4 = 1,
	FEATURE_IPV6 = 2,
	FEATURE_SUM = 4,
	FEATURE_HASH = 8,
	FEATURE_ANY_PORT = 16,     /* some service has any port of a protocol */
	FEATURE_ANY_PROTOCOL = 32, /* some service has a port, any protocol */
	FEATURE_ANY_ADDRESS = 64,  /* some entry takes what no other does */
	FEATURE_ECHO = 128,        /* pings of a VIP are ours to answer */
	FEATURE_BUFFERS = 256,     /* frames may fill more than one buffer */
	FEATURE_TAGGED_IPV4 = 512, /* the families, where frames carry a tag: */
	FEATURE_TAGGED_IPV6 = 1024, /* that of live.vlan */
};

enum service_flag {
	SERVICE_HASHED = 1,
	SERVICE_FORWARD_FRAGMENTS = 2,
	SERVICE_DROP_FRAGMENTS = 4, /* a marker: some service here has ports */
};

/* One service, or with slots == 0 a marker: "this VIP is ours".  64 bytes, one
 * cache line. */
struct service {
	__u64 vip_hi; /* raw; 0 for IPv4 */
	__u64 vip_lo; /* raw; IPv4: the low 32 bits */
	__u32 match;  /* match_of(): raw port, protocol, family */
	__u32 slots;  /* N */
	__u32 first_slot;
	__u32 first_owner;
	__u32 src_ip_mask; /* all ones where the key reads the field */
	__u32 dst_ip_mask;
	__u32 ports_mask; /* raw: source port low, destination port high */
	__u8 protocol_mask;
	__u8 flags;     /* enum service_flag */
	__u8 method;    /* enum method */
	__u8 chances;   /* how many earlier calculations there are behind it */
	__u32 power[3]; /* 2^32, 2^64, 2^96 modulo slots */
	__u32 earlier;  /* where the next of them stands, if chances */
};

#define CHANCES_MAX 4 /* earlier calculations of one service */

/* A slot names its owner by its number, counted from the service's first. */
enum owner_number {
	NOBODY = 0xffff, /* a slot without an owner; no service has so many */
};

enum owner_flag {
	OWNER_RESOLVED = 1, /* its MAC is known */
	OWNER_SELF = 2,     /* it is this node */
};

/* A server, member or router as a packet meets it.  The first eight bytes
 * change together when the neighbour does: one aligned store. */
struct owner {
	__u8 mac[6];
	__u8 flags; /* enum owner_flag */
	__u8 pad;   /* written as zero */
	__u32 counter;
	__u32 pad2;   /* written as zero */
	__u64 via_hi; /* raw address it is reached at; l2 needs none: zero */
	__u64 via_lo;
};

struct count {
	__u64 packets;
	__u64 bytes;
};

/* SipHash before the first block, made from the secret. */
struct secret {
	__u64 v[4];
};

/* An address range of the segment: address & mask == value, all raw.  What is
 * not used has a value that no address has under its mask. */
struct prefix {
	__u64 value_hi, value_lo;
	__u64 mask_hi, mask_lo;
};

#define PREFIXES 8 /* of each family */

/* How a half of the tables begins.  Behind it stand the seeds of the service
 * index (64 bits each), the services, the owner of every slot (16 bits each)
 * and the owners; struct settings says where. */
struct tables {
	struct secret secret;
	__u64 pad[4]; /* written as zero; what follows begins a cache line */
};

/* Another MAC address of this machine: raw in the low 48 bits, and above them
 * what it is.  0 ends the list. */
enum own_mac {
	OWN_MAC_SHIFT = 48,
	OWN_MAC_STRANGE = 1, /* what is sent to it is not for the balancer */
	OWN_MAC_ACCEPTED = 2,
};

#define OWN_MACS 16

/* Everything that changes while packets run, but the tables. */
struct live {
	__u64 half;        /* which half of the tables is current: 0 or 1 */
	__u64 mac;         /* the interface's own, raw, in the low 48 bits */
	__u64 cluster_mac; /* what reaches every member, likewise */
	__u64 vlan;        /* ID of the tag that frames carry, raw; 0: none */
	__u64 own_macs[OWN_MACS];
	struct prefix on_link4[PREFIXES];
	struct prefix on_link6[PREFIXES];
};

/* The meaning of all that is declared here.  A program that was pinned by
 * another build is only given tables of its own number.  Counted up with every
 * change that it would read differently; a test knows the layout of each. */
enum layout {
	LAYOUT_VERSION = 4,
};

/* Fixed at load. */
struct settings {
	__u32 layout;        /* LAYOUT_VERSION; the first word in every build */
	__u32 features;      /* enum feature */
	__u32 bucket_shift;  /* 64 - log2(seeds of one half) */
	__u32 service_shift; /* 64 - log2(services of one half) */
	__u32 services_at;   /* bytes from the beginning of a half */
	__u32 slots_at;
	__u32 owners_at;
	__u32 slots;  /* how many a half has room for */
	__u32 owners; /* likewise */
	__u32 pad;    /* written as zero */
	/* No bytes; they put the types into BTF for the comparison. */
	struct tables tables[0];
	struct service services[0];
	struct owner owner_structs[0];
	enum outcome outcomes[0];
	enum method methods[0];
	enum feature feature_names[0];
	enum service_flag service_flags[0];
	enum owner_flag owner_flags[0];
	enum owner_number owner_numbers[0];
	enum own_mac own_macs[0];
	enum layout layouts[0];
};

/* The service index: a perfect hash that Python computes.  These odd numbers
 * spread an address and a match over 64 bits. */
#define INDEX_HI 0x9e3779b97f4a7c15ULL
#define INDEX_LO 0xd1b54a32d192ed03ULL
#define INDEX_MATCH 0x8cb92ba72f3d8dd7ULL

#endif
