// go-spiffe as a workload: it watches the Workload API, serves mutual TLS with what it gets, or asks somebody over it.
//
//	spiffe-client watch SOCKET             a line of JSON for each answer
//	spiffe-client serve SOCKET DOMAIN...   HTTPS for members of these trust domains; prints its port, answers with the client's ID
//	spiffe-client get SOCKET URL ID        one request to a server with that ID; prints the status and the body
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func main() {
	ctx := context.Background()
	address := workloadapi.WithAddr("unix://" + os.Args[2])
	if os.Args[1] == "watch" {
		check(workloadapi.WatchX509Context(ctx, watcher{}, address))
		return
	}
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(address))
	check(err)
	if os.Args[1] == "get" {
		client := http.Client{Transport: &http.Transport{
			TLSClientConfig: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(spiffeid.RequireFromString(os.Args[4]))),
		}}
		response, err := client.Get(os.Args[3])
		check(err)
		body, err := io.ReadAll(response.Body)
		check(err)
		fmt.Println(response.StatusCode, string(body))
		return
	}
	members := func(id spiffeid.ID, _ [][]*x509.Certificate) error {
		for _, domain := range os.Args[3:] {
			if id.TrustDomain().Name() == domain {
				return nil
			}
		}
		return fmt.Errorf("%s is of none of these", id)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := http.Server{
		TLSConfig: tlsconfig.MTLSServerConfig(source, source, members),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.TLS.PeerCertificates[0].URIs[0], " ", r.TLS.PeerCertificates[0].SerialNumber.Text(16))
		}),
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	check(server.ServeTLS(listener, "", ""))
}

type watcher struct{}

type seen struct {
	IDs     []string       `json:"ids"`
	Hints   []string       `json:"hints"`
	Serials []string       `json:"serials"`
	Bundles map[string]int `json:"bundles"`
	Error   string         `json:"error,omitempty"`
}

func (watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	said := seen{Bundles: map[string]int{}}
	for _, svid := range update.SVIDs {
		said.IDs = append(said.IDs, svid.ID.String())
		said.Hints = append(said.Hints, svid.Hint)
		said.Serials = append(said.Serials, svid.Certificates[0].SerialNumber.Text(16))
	}
	for _, bundle := range update.Bundles.Bundles() {
		said.Bundles[bundle.TrustDomain().Name()] = len(bundle.X509Authorities())
	}
	say(said)
}

func (watcher) OnX509ContextWatchError(err error) {
	say(seen{Error: err.Error()})
}

func say(said seen) {
	check(json.NewEncoder(os.Stdout).Encode(said))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
