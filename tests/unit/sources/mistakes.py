# ruff: noqa: E501 (a sentence stands on one line, as its reader sees it)
"""Every mistake that a user can make in a file: what is written instead of what, and the sentence."""

from __future__ import annotations

SHOP = """\
secret = "000102030405060708090a0b0c0d0e0f"

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

MISTAKES: list[tuple[str, str, str]] = [
    (
        "port     = 80",
        "prot     = 80",
        "shop.toml:6: service[0].prot (service 'web'): a [[service]] has no such key (did you mean 'port'?), it has name, vip, port, protocol, key, table, servers, method, slots, fragments; correct or remove it",
    ),
    (
        "weight = 2",
        "wieght = 2",
        "shop.toml:13: service[0].servers[1].wieght (server 's2' of service 'web'): a server has no such key (did you mean 'weight'?), it has name, address, weight; correct or remove it",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\n"in ter" = 1',
        "shop.toml:35: balancer[0].'in\\x20ter' (balancer 'lb1'): a [[balancer]] has no such key (did you mean 'interface'?), it has name, interface, mode, assign_vips; correct or remove it",
    ),
    (
        "[[balancer]]",
        "[[balancers]]",
        "shop.toml:32: balancers: a Remainder file has no such key (did you mean 'balancer'?), it has service, balancer, vrrp, cluster, return_path, secret, secret_file; correct or remove it",
    ),
    (
        "port     = 80\n",
        "",
        "shop.toml:3: service[0] (service 'web'): 'port' is missing; add port = 80",
    ),
    (
        'name = "n2"\n',
        "",
        "shop.toml:28: service[1].servers[1] (service 'dns'): 'name' is missing; add name = \"…\"",
    ),
    (
        'interface = "eth0"\n',
        "",
        "shop.toml:32: balancer[0] (balancer 'lb1'): 'interface' is missing; add interface = \"eth0\"",
    ),
    (
        "port     = 80",
        "port     = 70000",
        "shop.toml:6: service[0].port (service 'web'): 70000 came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 0",
        "shop.toml:6: service[0].port (service 'web'): 0 came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "port     = 80",
        'port     = "80"',
        "shop.toml:6: service[0].port (service 'web'): '80' came, wanted a number from 1 to 65535 or \"any\"; write it without quotes",
    ),
    (
        "port     = 80",
        'port     = "http"',
        "shop.toml:6: service[0].port (service 'web'): 'http' came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 80.0",
        "shop.toml:6: service[0].port (service 'web'): 80.0 came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = true",
        "shop.toml:6: service[0].port (service 'web'): true came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 0x" + "f" * 5000,
        "shop.toml:6: service[0].port (service 'web'): an enormous number came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "port     = 80",
        "port     = 2024-02-30T",
        "shop.toml:6: is not TOML: Invalid date or datetime, seen at column 12; correct the line",
    ),
    (
        "port     = 80",
        "port     = 2024-02-28",
        "shop.toml:6: service[0].port (service 'web'): 2024-02-28 came, wanted a number from 1 to 65535 or \"any\"",
    ),
    (
        "weight = 2",
        "weight = 256",
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): 256 came, wanted a whole number from 0 to 255",
    ),
    (
        "weight = 2",
        "weight = -1",
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): -1 came, wanted a whole number from 0 to 255",
    ),
    (
        "weight = 2",
        "weight = false",
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): false came, wanted a whole number from 0 to 255",
    ),
    (
        "weight = 2",
        'weight = "2"',
        "shop.toml:13: service[0].servers[1].weight (server 's2' of service 'web'): '2' came, wanted a whole number from 0 to 255; write it without quotes",
    ),
    (
        "slots     = 251",
        "slots     = true",
        "shop.toml:23: service[1].slots (service 'dns'): true came, wanted a prime number up to 1048576",
    ),
    (
        "slots     = 251",
        "slots     = 2_000_003",
        "shop.toml:23: service[1].slots (service 'dns'): 2000003 came, wanted a prime number up to 1048576",
    ),
    (
        "slots     = 251",
        "slots     = 0",
        "shop.toml:23: service[1].slots (service 'dns'): 0 came, wanted a prime number up to 1048576",
    ),
    (
        '"maglev"',
        '["maglev"]',
        "shop.toml:22: service[1].table (service 'dns'): a list of 1 came, wanted one of modulo, maglev",
    ),
    (
        '"maglev"',
        "{}",
        "shop.toml:22: service[1].table (service 'dns'): a table came, wanted one of modulo, maglev",
    ),
    (
        'name     = "web"',
        'name     = "my web"',
        "shop.toml:4: service[0].name: 'my web' came, wanted a name of letters, digits, '.', '_' and '-', at most 63",
    ),
    (
        'name     = "web"',
        'name     = ""',
        "shop.toml:4: service[0].name: '' came, wanted a name of letters, digits, '.', '_' and '-', at most 63",
    ),
    (
        'name     = "web"',
        'name     = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
        "shop.toml:4: service[0].name: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' and more came, wanted a name of letters, digits, '.', '_' and '-', at most 63",
    ),
    (
        'name = "s2"',
        "name = 2",
        "shop.toml:13: service[0].servers[1].name (service 'web'): 2 came, wanted a name of letters, digits, '.', '_' and '-', at most 63",
    ),
    (
        SERVERS,
        "servers  = []\n\n",
        'shop.toml:10: service[0].servers (service \'web\'): an empty list came, wanted a list of 1 to 16384 servers, like [ { name = "s1", address = "192.0.2.11" } ]',
    ),
    (
        SERVERS,
        'servers  = ["192.0.2.11"]\n\n',
        "shop.toml:10: service[0].servers[0] (service 'web'): '192.0.2.11' came, wanted a server, like { name = \"s1\", address = \"192.0.2.11\" }",
    ),
    (
        SERVERS,
        'servers  = "192.0.2.11"\n\n',
        "shop.toml:10: service[0].servers (service 'web'): '192.0.2.11' came, wanted a list of 1 to 16384 servers, like [ { name = \"s1\", address = \"192.0.2.11\" } ]",
    ),
    (
        "[[balancer]]",
        "[balancer]",
        "shop.toml:32: balancer: a table came, wanted tables headed [[balancer]], in two brackets",
    ),
    (
        'interface = "eth0"',
        'interface = "a-very-long-name0"',
        "shop.toml:34: balancer[0].interface (balancer 'lb1'): 'a-very-long-name0' came, wanted the name of an interface, 1 to 15 characters",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\nmode = "fast"',
        "shop.toml:35: balancer[0].mode (balancer 'lb1'): 'fast' came, wanted 'auto', 'native' or 'generic'",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\nassign_vips = 1',
        "shop.toml:35: balancer[0].assign_vips (balancer 'lb1'): 1 came, wanted true or false",
    ),
    (
        'fragments = "forward"',
        'fragments = "keep"',
        "shop.toml:24: service[1].fragments (service 'dns'): 'keep' came, wanted 'drop' or 'forward'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "203.0.113.256"',
        "shop.toml:5: service[0].vip (service 'web'): '203.0.113.256' is no IPv4 or IPv6 address; write one like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "example.org"',
        "shop.toml:5: service[0].vip (service 'web'): 'example.org' is no IPv4 or IPv6 address; write one like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "239.1.2.3"',
        "shop.toml:5: service[0].vip (service 'web'): 239.1.2.3 is no address that one machine can be reached at; write a unicast address",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "0.0.0.0"',
        "shop.toml:5: service[0].vip (service 'web'): 0.0.0.0 is no address that one machine can be reached at; write a unicast address",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "255.255.255.255"',
        "shop.toml:5: service[0].vip (service 'web'): 255.255.255.255 is no address that one machine can be reached at; write a unicast address",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "fe80::1%eth0"',
        "shop.toml:5: service[0].vip (service 'web'): fe80::1%eth0 has a zone; write the address without '%' and the rest",
    ),
    (
        'vip      = "203.0.113.10"',
        'vip      = "::ffff:203.0.113.10"',
        "shop.toml:5: service[0].vip (service 'web'): ::ffff:203.0.113.10 is an IPv4 address in IPv6 clothes; write it as IPv4",
    ),
    (
        'address = "192.0.2.12"',
        'address = "127.0.0.1"',
        "shop.toml:13: service[0].servers[1].address (server 's2' of service 'web'): 127.0.0.1 is no address that one machine can be reached at; write a unicast address",
    ),
    (
        'address = "192.0.2.22"',
        'address = "192.0.2.22/24"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): '192.0.2.22/24' is no IPv4 or IPv6 address; write one like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'address = "192.0.2.22"',
        "address = 3221226006",
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 3221226006 came, wanted an address in quotes, like '192.0.2.11' or '2001:db8::11'",
    ),
    (
        'protocol = "tcp"',
        'protocol = "tpc"',
        "shop.toml:7: service[0].protocol (service 'web'): 'tpc' came (did you mean 'tcp'?), wanted one of any, tcp, udp, sctp, dccp, udplite, icmp, icmpv6, gre, esp, ipip",
    ),
    (
        'protocol = "tcp"',
        'protocol = "http"',
        "shop.toml:7: service[0].protocol (service 'web'): 'http' came, wanted one of any, tcp, udp, sctp, dccp, udplite, icmp, icmpv6, gre, esp, ipip",
    ),
    (
        'table    = "modulo"',
        'table    = "round-robin"',
        "shop.toml:9: service[0].table (service 'web'): 'round-robin' came, wanted one of modulo, maglev",
    ),
    (
        'table    = "modulo"',
        'table    = "modulo"\nmethod   = "dr"',
        "shop.toml:10: service[0].method (service 'web'): 'dr' came, wanted one of l2",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '"src_ip + ttl"',
        "shop.toml:8: service[0].key (service 'web'): 'ttl' in 'src_ip + ttl' is no field of a packet; write a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', of src_ip, src_port, dst_ip, dst_port, protocol",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '"' + "src_ip + " * 50 + 'dst_ip"',
        "shop.toml:8: service[0].key (service 'web'): 'src_ip + src_ip + src_ip + src_ip + src_ip + src_ip + src_ip' and more came, wanted a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        "13",
        "shop.toml:8: service[0].key (service 'web'): 13 came, wanted a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
    ),
    (
        '"tcp"',
        "6",
        "shop.toml:7: service[0].protocol (service 'web'): 6 came, wanted one of any, tcp, udp, sctp, dccp, udplite, icmp, icmpv6, gre, esp, ipip",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '"src_ip + src_ip"',
        "shop.toml:8: service[0].key (service 'web'): src_ip stands twice in 'src_ip + src_ip'; name each field once at most",
    ),
    (
        '"src_ip + dst_ip + dst_port"',
        '""',
        "shop.toml:8: service[0].key (service 'web'): '' names no field; write a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', of src_ip, src_port, dst_ip, dst_port, protocol",
    ),
    (
        '"hash(src_ip, dst_ip)"',
        '"hash(src_ip, dst_ip) % 4"',
        "shop.toml:21: service[1].key (service 'dns'): 'hash(src_ip, dst_ip) % 4' is no field of a packet; write a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', of src_ip, src_port, dst_ip, dst_port, protocol",
    ),
    (
        'name      = "dns"',
        'name      = "web"',
        "shop.toml:17: service[1].name: 'web' is taken, a name may stand once in its list; choose another",
    ),
    (
        'vip       = "203.0.113.11"\nport      = "any"\nprotocol  = "udp"',
        'vip       = "203.0.113.10"\nport      = 80\nprotocol  = "tcp"',
        "shop.toml:16: service[1] (service 'dns'): 203.0.113.10 port 80 tcp is taken by service 'web' already and a packet can have one service only; give another port or protocol, or put the servers into one service",
    ),
    (
        'name = "n2"',
        'name = "n1"',
        "shop.toml:29: service[1].servers[1].name (service 'dns'): 'n1' is taken, a name may stand once in its list; choose another",
    ),
    (
        '"192.0.2.22"',
        '"192.0.2.21"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 192.0.2.21 is server 'n1' already; give one server a larger weight instead",
    ),
    (
        '"192.0.2.22"',
        '"203.0.113.10"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 203.0.113.10 is a VIP; a server is named by its own address and has the VIP on its loopback; write its own address",
    ),
    (
        '"192.0.2.22"',
        '"2001:db8::22"',
        "shop.toml:30: service[1].servers[1].address (server 'n2' of service 'dns'): 2001:db8::22 is IPv6, but the VIP 203.0.113.11 is IPv4 and method l2 needs one family; put this server into a service of its own family",
    ),
    (
        SERVERS,
        'servers  = [ { name = "s1", address = "192.0.2.11", weight = 0 } ]\n',
        "shop.toml:10: service[0].servers (service 'web'): every weight is 0, nobody would own a slot; give one server a weight",
    ),
    (
        "slots     = 251",
        "slots     = 256",
        "shop.toml:23: service[1].slots (service 'dns'): 256 is not a prime, maglev needs one; 65537 is a good choice",
    ),
    (
        'table    = "modulo"',
        'table    = "modulo"\nslots    = 7',
        "shop.toml:10: service[0].slots (service 'web'): slots = 7 came, but the slots of modulo are its servers times their weights; leave slots away, or use table = 'maglev'",
    ),
    (
        'port      = "any"',
        "port      = 53",
        "shop.toml:24: service[1].fragments (service 'dns'): 'forward' needs port = \"any\", but port 53 came: a later fragment carries no port to recognise the service by",
    ),
    (
        '"hash(src_ip, dst_ip)"',
        '"src_ip + src_port"',
        "shop.toml:24: service[1].fragments (service 'dns'): 'forward' needs a key without ports, but 'src_ip + src_port' came: a later fragment carries none; use e.g. 'src_ip + dst_ip'",
    ),
    (
        'vip      = "203.0.113.10"\nport     = 80\nprotocol = "tcp"',
        'vip      = "203.0.113.11"\nport     = 80\nprotocol = "udp"',
        "shop.toml:24: service[1].fragments (service 'dns'): 'forward' is unsafe here: service 'web' takes some of the same packets, and a later fragment does not show which; use 'drop' or remove one",
    ),
    (
        'protocol = "tcp"',
        'protocol = "icmp"',
        "shop.toml:6: service[0].port (service 'web'): icmp has no ports, but port 80 came; write port = \"any\"",
    ),
    (
        'port     = 80\nprotocol = "tcp"',
        'port     = "any"\nprotocol = "icmpv6"',
        "shop.toml:7: service[0].protocol (service 'web'): icmpv6 is not carried by IPv4; for 203.0.113.10 write 'icmp'",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"',
        'secret = "0001"',
        "shop.toml:1: secret: 4 hexadecimal digits came, wanted 32 hexadecimal digits; `openssl rand -hex 16` makes some",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"',
        'secret = "000102030405060708090a0b0c0d0e0g"',
        "shop.toml:1: secret: 32 characters came, wanted 32 hexadecimal digits; `openssl rand -hex 16` makes some",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"',
        "secret = 17",
        "shop.toml:1: secret: something else came, wanted 32 hexadecimal digits in quotes",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"',
        'secret = "000102030405060708090a0b0c0d0e0f"\nsecret_file = "secret"',
        "shop.toml:2: secret_file: secret stands in the file too; keep one of the two",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"\n',
        "",
        "shop.toml:20: service[1].key (service 'dns'): 'hash(src_ip, dst_ip)' is a hash and needs a secret; put secret = \"…\" (32 hexadecimal digits, `openssl rand -hex 16`) or secret_file = \"…\" at the top of the file",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"',
        'secret_file = "nowhere"',
        "shop.toml:1: secret_file: 'nowhere' cannot be read (No such file or directory); put 32 hexadecimal digits there, `openssl rand -hex 16` makes some",
    ),
    (
        'secret = "000102030405060708090a0b0c0d0e0f"',
        'secret_file = "\\u0000"',
        "shop.toml:1: secret_file: '\\x00' cannot be read (a path has no null byte); put 32 hexadecimal digits there, `openssl rand -hex 16` makes some",
    ),
    (
        'interface = "eth0"\n',
        'interface = "eth0"\n[[balancer]]\nname = "lb1"\ninterface = "eth1"\n',
        "shop.toml:36: balancer[1].name: 'lb1' is taken, a name may stand once in its list; choose another",
    ),
    (SHOP, "", "shop.toml: 'service' is missing; add a [[service]]"),
    (SHOP, "# nothing\n", "shop.toml: 'service' is missing; add a [[service]]"),
    (
        SHOP,
        "service = []\n",
        "shop.toml: 'service' is missing; add a [[service]]",
    ),
    (
        SHOP,
        "service = 5",
        "shop.toml:1: service: 5 came, wanted 1 to 16384 tables headed [[service]], in two brackets",
    ),
    (
        SHOP,
        "service = [5]",
        "shop.toml:1: service[0]: 5 came, wanted a table headed [[service]], in two brackets",
    ),
    (
        SHOP,
        '[service]\nname = "web"',
        "shop.toml:1: service: a table came, wanted 1 to 16384 tables headed [[service]], in two brackets",
    ),
    (
        "port     = 80",
        "port     =",
        "shop.toml:6: is not TOML: Invalid value, seen at column 11; correct the line",
    ),
    (
        "port     = 80",
        "port     = eighty",
        "shop.toml:6: is not TOML: Invalid value, seen at column 12; correct the line",
    ),
    (
        "port     = 80",
        "port     = 80\nport     = 81",
        "shop.toml:7: is not TOML: Cannot overwrite a value, seen at column 14; correct the line",
    ),
    (
        'table    = "modulo"',
        'table    = "modulo',
        "shop.toml:9: is not TOML: Illegal character '\\n', seen at column 19; correct the line",
    ),
    (
        'interface = "eth0"\n',
        'interface = "eth0',
        "shop.toml: is not TOML: Unterminated string, and the file ends; complete its last line",
    ),
    (
        "weight = 2 },\n]",
        "weight = 2 },\n",
        "shop.toml:16: is not TOML: Invalid value, seen at column 3; correct the line",
    ),
    (
        "port     = 80",
        "port     = " + "1" * 5000,
        "shop.toml: a number has thousands of digits; shorten it",
    ),
    (
        "port     = 80",
        "port     = " + "[" * 5000,
        "shop.toml: brackets are nested too deeply; a Remainder file has two",
    ),
]
