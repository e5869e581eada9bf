// Caddy as operators install it from its makers, with a DNS provider: Debian's has neither that nor the PROXY protocol.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/libdns/rfc2136"
)

func init() { caddy.RegisterModule(new(provider)) }

func main() { caddycmd.Main() }

// The module that github.com/caddy-dns/rfc2136 registers: its name, its fields.
type provider struct{ *rfc2136.Provider }

func (*provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "dns.providers.rfc2136",
		New: func() caddy.Module { return &provider{new(rfc2136.Provider)} },
	}
}

func (*provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	return nil
}
