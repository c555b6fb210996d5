"""The only door to Linux: BPF through libbpf, the network through netlink."""
