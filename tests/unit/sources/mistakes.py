# ruff: noqa: E501 (a sentence stands on one line, as its reader sees it)
"""Every mistake that a user can make in a file: what is written instead of what, and the sentence."""

from __future__ import annotations

SHOP = """\
secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"

[[service]]
name     = "web"
vip      = "203.0.113.10"
port     = 80
protocol = "tcp"
key      = "src_ip + dst_ip + dst_port"   # as in claim 13
table    = "modulo"
servers  = [
  { name = "s1", address = "192.0.2.11" },
  # { name = "s9", address = "192.0.2.19" },
  { name = "s2", address = "192.0.2.12", weight = 2 },
]

[[service]]
name      = "dns"
vip       = "203.0.113.11"
port      = "any"
protocol  = "udp"
key       = "hash(src_ip, dst_ip)"
table     = "maglev"
slots     = 251
fragments = "forward"
[[service.servers]]
name = "n1"
address = "192.0.2.21"
[[service.servers]]
name = "n2"
address = "192.0.2.22"

[[balancer]]
name      = "lb1"
interface = "eth0"
"""
SERVERS = SHOP[SHOP.index("servers  = [") : SHOP.index("[[service]]\nname      =")]

CLUSTER = """\
[[cluster]]
name    = "c"
address = "203.0.113.30"
key     = "src_ip"
table   = "modulo"
members = [ { name = "m1", interface = "eth0" } ]
"""

MISTAKES: list[tuple[str, str, str]] = [
    (
        "port     = 80",
        "prot     = 80",
        "shop.toml:6: service[0].prot (service 'web'): unknown key (did you mean 'port'?); a [[service]] can have name, vip, port, protocol, key, table, servers, method, slots, fragments, before",
    ),
    (
        "weight = 2",
        "wieght = 2",
        "shop.toml:13: service[0].servers[1].wieght (server 's2' of service 'web'): unknown key (did you mean 'weight'?); a server can have name, address, weight, slot, interface, mode",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\n"in ter" = 1',
        "shop.toml:35: balancer[0].'in\\x20ter' (balancer 'lb1'): unknown key (did you mean 'interface'?); a [[balancer]] can have name, interface, mode, assign_vips, vlan",
    ),
    (
        "[[balancer]]",
        "[[balancers]]",
        "shop.toml:32: balancers: unknown key (did you mean 'balancer'?); a Remainder file can have service, balancer, vrrp, cluster, return_path, secret, secret_file",
    ),
    (
        "port     = 80\n",
        "",
        "shop.toml:3: service[0] (service 'web'): port is missing; add port = 80",
    ),
    (
        'name = "n2"\n',
        "",
        "shop.toml:28: service[1].servers[1] (service 'dns'): name is missing; add name = \"…\"",
    ),
    (
        'interface = "eth0"\n',
        "",
        "shop.toml:32: balancer[0] (balancer 'lb1'): interface is missing; add interface = \"eth0\"",
    ),
    (
        "port     = 80",
        "port     = 70000",
        "shop.toml:6: service[0].port (service 'web'): port is 70000; expected 1–65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 0",
        "shop.toml:6: service[0].port (service 'web'): port is 0; expected 1–65535 or \"any\"",
    ),
    (
        "port     = 80",
        'port     = "80"',
        "shop.toml:6: service[0].port (service 'web'): port is '80'; expected 1–65535 or \"any\"; write it without quotes",
    ),
    (
        "port     = 80",
        'port     = "http"',
        "shop.toml:6: service[0].port (service 'web'): port is 'http'; expected 1–65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 80.0",
        "shop.toml:6: service[0].port (service 'web'): port is 80.0; expected 1–65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = true",
        "shop.toml:6: service[0].port (service 'web'): port is true; expected 1–65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 0x" + "f" * 5000,
        "shop.toml:6: service[0].port (service 'web'): port is an enormous number; expected 1–65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 2024-02-30T",
        "shop.toml:6: invalid TOML at column 12: invalid date or datetime; fix this line",
    ),
    (
        "port     = 80",
        "port     = 2024-02-28",
        "shop.toml:6: service[0].port (service 'web'): port is 2024-02-28; expected 1–65535 or \"any\"",
    ),
    (
        "weight = 2",
        "weight = 256",
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): weight is 256; expected an integer, 0–255",
    ),
    (
        "weight = 2",
        "weight = -1",
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): weight is -1; expected an integer, 0–255",
    ),
    (
        "weight = 2",
        "weight = false",
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): weight is false; expected an integer, 0–255",
    ),
    (
        "weight = 2",
        'weight = "2"',
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): weight is '2'; expected an integer, 0–255; write it without quotes",
    ),
    (
        "slots     = 251",
        "slots     = true",
        "shop.toml:23: service[1].slots (service 'dns'): slots is true; expected a prime, at most 1048576",
    ),
    (
        "slots     = 251",
        "slots     = 2_000_003",
        "shop.toml:23: service[1].slots (service 'dns'): slots is 2000003; expected a prime, at most 1048576",
    ),
    (
        "slots     = 251",
        "slots     = 0",
        "shop.toml:23: service[1].slots (service 'dns'): slots is 0; expected a prime, at most 1048576",
    ),
    (
        '"maglev"',
        '["maglev"]',
        "shop.toml:22: service[1].table (service 'dns'): table is a list of 1; expected one of modulo, maglev, rendezvous",
    ),
    (
        '"maglev"',
        "{}",
        "shop.toml:22: service[1].table (service 'dns'): table is a TOML table; expected one of modulo, maglev, rendezvous",
    ),
    (
        'name     = "web"',
        'name     = "my web"',
        "shop.toml:4: service[0].name: name is 'my web'; expected 1–63 letters, digits, '.', '_' or '-', starting with a letter or digit",
    ),
    (
        'name     = "web"',
        'name     = ""',
        "shop.toml:4: service[0].name: name is ''; expected 1–63 letters, digits, '.', '_' or '-', starting with a letter or digit",
    ),
    (
        'name     = "web"',
        'name     = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
        "shop.toml:4: service[0].name: name is 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'; expected 1–63 letters, digits, '.', '_' or '-', starting with a letter or digit",
    ),
    (
        'name = "s2"',
        "name = 2",
        "shop.toml:13: service[0].servers[1].name (service 'web'): name is 2; expected 1–63 letters, digits, '.', '_' or '-', starting with a letter or digit",
    ),
    (
        SERVERS,
        "servers  = []\n\n",
        'shop.toml:10: service[0].servers (service \'web\'): servers is an empty list; expected a list of 1–16384 servers, like [ { name = "s1", address = "192.0.2.11" } ]',
    ),
    (
        SERVERS,
        'servers  = ["192.0.2.11"]\n\n',
        "shop.toml:10: service[0].servers[0] (service 'web'): servers[0] is '192.0.2.11'; expected a server, like { name = \"s1\", address = \"192.0.2.11\" }",
    ),
    (
        SERVERS,
        'servers  = "192.0.2.11"\n\n',
        "shop.toml:10: service[0].servers (service 'web'): servers is '192.0.2.11'; expected a list of 1–16384 servers, like [ { name = \"s1\", address = \"192.0.2.11\" } ]",
    ),
    (
        "[[balancer]]",
        "[balancer]",
        "shop.toml:32: balancer: balancer is a TOML table; expected [[balancer]] sections, in double brackets",
    ),
    (
        'interface = "eth0"',
        'interface = "a-very-long-name0"',
        "shop.toml:34: balancer[0].interface (balancer 'lb1'): interface is 'a-very-long-name0'; expected an interface name, 1–15 characters without spaces, '/', ':' and '%'",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0:1"',
        "shop.toml:34: balancer[0].interface (balancer 'lb1'): interface is 'eth0:1'; expected an interface name, 1–15 characters without spaces, '/', ':' and '%'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "fe80::10"',
        "shop.toml:5: service[0].vip (service 'web'): fe80::10 is a link-local address, which no router forwards to; write a global or unique local one",
    ),
    (
        "[[balancer]]",
        CLUSTER + 'mac = "01:80:C2:00:00:0e"\n[[balancer]]',
        "shop.toml:38: cluster[0].mac (cluster 'c'): mac 01:80:c2:00:00:0e is reserved, and no switch passes it on; write one like '03:00:5e:52:4d:44'",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\nmode = "fast"',
        "shop.toml:35: balancer[0].mode (balancer 'lb1'): mode is 'fast'; expected 'auto', 'native' or 'generic'",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\nassign_vips = 1',
        "shop.toml:35: balancer[0].assign_vips (balancer 'lb1'): assign_vips is 1; expected true or false",
    ),
    (
        'fragments = "forward"',
        'fragments = "keep"',
        "shop.toml:24: service[1].fragments (service 'dns'): fragments is 'keep'; expected 'drop' or 'forward'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "203.0.113.256"',
        "shop.toml:5: service[0].vip (service 'web'): '203.0.113.256' is not an IP address; expected one like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "example.org"',
        "shop.toml:5: service[0].vip (service 'web'): 'example.org' is not an IP address; expected one like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "239.1.2.3"',
        "shop.toml:5: service[0].vip (service 'web'): 239.1.2.3 is not a unicast address",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "0.0.0.0"',
        "shop.toml:5: service[0].vip (service 'web'): 0.0.0.0 is not a unicast address",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "255.255.255.255"',
        "shop.toml:5: service[0].vip (service 'web'): 255.255.255.255 is not a unicast address",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "fe80::1%eth0"',
        "shop.toml:5: service[0].vip (service 'web'): fe80::1%eth0 has a zone ID; remove the '%' and what follows",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "::ffff:203.0.113.10"',
        "shop.toml:5: service[0].vip (service 'web'): ::ffff:203.0.113.10 is an IPv4-mapped IPv6 address; write the IPv4 address",
    ),
    (
        'address = "192.0.2.12"',
        'address = "127.0.0.1"',
        "shop.toml:13: service[0].servers[1].address (server 's2' of service 'web'): 127.0.0.1 is not a unicast address",
    ),
    (
        'address = "192.0.2.22"',
        'address = "192.0.2.22/24"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): '192.0.2.22/24' is not an IP address; expected one like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'address = "192.0.2.22"',
        "address = 3221226006",
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): address is 3221226006; expected an IP address in quotes, like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'protocol = "tcp"',
        'protocol = "tpc"',
        "shop.toml:7: service[0].protocol (service 'web'): unknown protocol 'tpc' (did you mean 'tcp'?); expected one of any, tcp, udp, sctp, dccp, udplite, icmp, icmpv6, gre, esp, ipip",
    ),
    (
        'protocol = "tcp"',
        'protocol = "http"',
        "shop.toml:7: service[0].protocol (service 'web'): unknown protocol 'http'; expected one of any, tcp, udp, sctp, dccp, udplite, icmp, icmpv6, gre, esp, ipip",
    ),
    (
        'table    = "modulo"',
        'table    = "round-robin"',
        "shop.toml:9: service[0].table (service 'web'): unknown table 'round-robin'; expected one of modulo, maglev, rendezvous",
    ),
    (
        'table    = "modulo"',
        'table    = "modulo"\nmethod   = "dr"',
        "shop.toml:10: service[0].method (service 'web'): unknown method 'dr'; expected l2",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '"src_ip + ttl"',
        "shop.toml:8: service[0].key (service 'web'): unknown field 'ttl' in 'src_ip + ttl'; expected a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', of src_ip, src_port, dst_ip, dst_port, protocol",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '"' + "src_ip + " * 50 + 'dst_ip"',
        "shop.toml:8: service[0].key (service 'web'): key is 'src_ip + src_ip + src_ip + src_ip + src_ip + src_ip + src_ip…'; expected a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        "13",
        "shop.toml:8: service[0].key (service 'web'): key is 13; expected a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
    ),
    (
        '"tcp"',
        "6",
        "shop.toml:7: service[0].protocol (service 'web'): protocol is 6; expected one of any, tcp, udp, sctp, dccp, udplite, icmp, icmpv6, gre, esp, ipip",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '"src_ip + src_ip"',
        "shop.toml:8: service[0].key (service 'web'): src_ip appears twice in 'src_ip + src_ip'; name each field once",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '""',
        "shop.toml:8: service[0].key (service 'web'): '' names no field; expected a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', of src_ip, src_port, dst_ip, dst_port, protocol",
    ),
    (
        '"hash(src_ip, dst_ip)"',
        '"hash(src_ip, dst_ip) % 4"',
        "shop.toml:21: service[1].key (service 'dns'): unknown field 'hash(src_ip, dst_ip) % 4'; expected a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', of src_ip, src_port, dst_ip, dst_port, protocol",
    ),
    (
        'name      = "dns"',
        'name      = "web"',
        "shop.toml:17: service[1].name: duplicate name 'web'; names must be unique within the list",
    ),
    (
        'vip       = "203.0.113.11"\nport      = "any"\nprotocol  = "udp"',
        'vip       = "203.0.113.10"\nport      = 80\nprotocol  = "tcp"',
        "shop.toml:16: service[1] (service 'dns'): 203.0.113.10 port 80 tcp already belongs to service 'web'; change the port or protocol, or merge the services",
    ),
    (
        'name = "n2"',
        'name = "n1"',
        "shop.toml:29: service[1].servers[1].name (service 'dns'): duplicate name 'n1'; names must be unique within the list",
    ),
    (
        '"192.0.2.22"',
        '"192.0.2.21"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 192.0.2.21 is already server 'n1'; to give a server a larger share, raise its weight",
    ),
    (
        '"192.0.2.22"',
        '"203.0.113.10"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 203.0.113.10 is a VIP; write the server's own address (the VIP goes on its loopback)",
    ),
    (
        '"192.0.2.22"',
        '"2001:db8::22"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 2001:db8::22 is IPv6, but the VIP 203.0.113.11 is IPv4, and method l2 does not translate; put this server into an IPv6 service",
    ),
    (
        SERVERS,
        'servers  = [ { name = "s1", address = "192.0.2.11", weight = 0 } ]\n',
        "shop.toml:10: service[0].servers (service 'web'): every weight is 0, so no slot would have an owner; give at least one server a weight",
    ),
    (
        "slots     = 251",
        "slots     = 256",
        "shop.toml:23: service[1].slots (service 'dns'): slots is 256; expected a prime for maglev, such as 65537",
    ),
    (
        'table    = "modulo"',
        'table    = "modulo"\nslots    = 7',
        "shop.toml:10: service[0].slots (service 'web'): slots is 7, but no server names its slot; give each server one, like slot = 0, or remove slots, or use table = 'maglev'",
    ),
    (
        'port      = "any"',
        "port      = 53",
        "shop.toml:24: service[1].fragments (service 'dns'): 'forward' needs port = \"any\", since later fragments carry no port; port is 53, use 'drop' or port = \"any\"",
    ),
    (
        '"hash(src_ip, dst_ip)"',
        '"src_ip + src_port"',
        "shop.toml:24: service[1].fragments (service 'dns'): 'forward' needs a key without ports, since later fragments carry none; key is 'src_ip + src_port', use e.g. 'src_ip + dst_ip'",
    ),
    (
        'vip      = "203.0.113.10"\nport     = 80\nprotocol = "tcp"',
        'vip      = "203.0.113.11"\nport     = 80\nprotocol = "udp"',
        "shop.toml:24: service[1].fragments (service 'dns'): 'forward' is ambiguous: service 'web' takes some of the same packets, and later fragments do not show which; use 'drop', or remove one of the services",
    ),
    (
        'protocol = "tcp"',
        'protocol = "icmp"',
        "shop.toml:6: service[0].port (service 'web'): port is 80, but icmp has no ports; write port = \"any\"",
    ),
    (
        'port     = 80\nprotocol = "tcp"',
        'port     = "any"\nprotocol = "icmpv6"',
        "shop.toml:7: service[0].protocol (service 'web'): icmpv6 does not run over IPv4; for 203.0.113.10 write 'icmp'",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"',
        'secret = "0001"',
        "shop.toml:1: secret: secret has 4 hexadecimal digits; expected 32 hexadecimal digits; generate one with `openssl rand -hex 16`",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"',
        'secret = "000102030405060708090a0b0c0d0e0g"',
        "shop.toml:1: secret: secret has 32 characters; expected 32 hexadecimal digits; generate one with `openssl rand -hex 16`",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"',
        "secret = 17",
        "shop.toml:1: secret: secret is not text; expected 32 hexadecimal digits in quotes",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"',
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"\nsecret_file = "secret"',
        "shop.toml:2: secret_file: the file has both secret and secret_file; remove one",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"\n',
        "",
        "shop.toml:20: service[1].key (service 'dns'): 'hash(src_ip, dst_ip)' is a hash and needs a secret; add secret = \"…\" (32 hexadecimal digits, `openssl rand -hex 16`) or secret_file = \"…\" at the top of the file",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"',
        'secret_file = "nowhere"',
        "shop.toml:1: secret_file: cannot read 'nowhere' (No such file or directory); put 32 hexadecimal digits there, e.g. from `openssl rand -hex 16`",
    ),
    (
        'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"',
        'secret_file = "\\u0000"',
        "shop.toml:1: secret_file: cannot read '\\x00' (null byte in the path); put 32 hexadecimal digits there, e.g. from `openssl rand -hex 16`",
    ),
    (
        'interface = "eth0"\n',
        'interface = "eth0"\n[[balancer]]\nname = "lb1"\ninterface = "eth1"\n',
        "shop.toml:36: balancer[1].name: duplicate name 'lb1'; names must be unique within the list",
    ),
    (SHOP, "", "shop.toml: no [[service]], [[cluster]] or [[return_path]]; add one"),
    (SHOP, "# nothing\n", "shop.toml: no [[service]], [[cluster]] or [[return_path]]; add one"),
    (
        SHOP,
        "service = []\n",
        "shop.toml: no [[service]], [[cluster]] or [[return_path]]; add one",
    ),
    (
        SHOP,
        "service = 5",
        "shop.toml:1: service: service is 5; expected 1–16384 [[service]] sections, in double brackets",
    ),
    (
        SHOP,
        "service = [5]",
        "shop.toml:1: service[0]: service[0] is 5; expected a [[service]] section, in double brackets",
    ),
    (
        SHOP,
        '[service]\nname = "web"',
        "shop.toml:1: service: service is a TOML table; expected 1–16384 [[service]] sections, in double brackets",
    ),
    (
        "port     = 80",
        "port     =",
        "shop.toml:6: invalid TOML at column 11: invalid value; fix this line",
    ),
    (
        "port     = 80",
        "port     = eighty",
        "shop.toml:6: invalid TOML at column 12: invalid value; fix this line",
    ),
    (
        "port     = 80",
        "port     = 80\nport     = 81",
        "shop.toml:7: invalid TOML at column 14: cannot overwrite a value; fix this line",
    ),
    (
        'table    = "modulo"',
        'table    = "modulo',
        "shop.toml:9: invalid TOML at column 19: illegal character '\\n'; fix this line",
    ),
    (
        'interface = "eth0"\n',
        'interface = "eth0',
        "shop.toml: invalid TOML at the end of the file: unterminated string; complete the last line",
    ),
    (
        "weight = 2 },\n]",
        "weight = 2 },\n",
        "shop.toml:16: invalid TOML at column 3: invalid value; fix this line",
    ),
    (
        "port     = 80",
        "port     = " + "1" * 5000,
        "shop.toml: a number has thousands of digits; shorten it",
    ),
    (
        "port     = 80",
        "port     = " + "[" * 5000,
        "shop.toml: brackets nested too deeply; two levels are enough",
    ),
]
