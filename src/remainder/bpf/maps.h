/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the tables stand.
 *
 * There are two halves.  Packets read the current one while Python fills the
 * other out of sight; one aligned store to live.half publishes it, so no
 * packet sees a mixture.
 *
 * A half is one value of one array.  So a packet looks it up once, before it
 * knows what it needs, and finds everything else by adding to a pointer: four
 * arrays, each looked up when its index is known, cost 1 ns more, and a hash
 * map 22.
 *
 * Python sets the size before load, twice what the file needs.
 */
#ifndef REMAINDER_MAPS_H
#define REMAINDER_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct tables));
} halves SEC(".maps");

/* Counters are per CPU: a plain addition, nothing shared. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOME_MAX);
	__type(key, __u32);
	__type(value, struct count);
} outcomes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count);
} servers SEC(".maps");

/* Global data is one load away, without a lookup. */
volatile struct live live SEC(".data.live");
const volatile struct settings settings SEC(".rodata.settings");

/* Read once: a packet sees one half from here to its end. */
static __always_inline struct tables *current_tables(void)
{
	__u32 half = live.half & 1;

	return bpf_map_lookup_elem(&halves, &half);
}

#endif
