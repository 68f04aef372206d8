package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Instance is one running process of a service.
type Instance struct {
	// ID is unique among the instances of the service, and has no slash.
	ID string
	// Addr is the host:port at which other processes reach it.
	Addr string
	// Metadata is stored beside the address for people and tools; the resolver does not read it.
	Metadata map[string]string
}

// endpoint is the value that etcd's naming package stores; Op 0 means added.
type endpoint struct {
	Op       uint8
	Addr     string
	Metadata map[string]string
}

func prefix(service string) string { return service + "/" }

func checkService(service string) error {
	if service == "" || strings.Contains(service, "/") {
		return fmt.Errorf("discovery: service name %q: must be a word without a slash", service)
	}
	return nil
}

func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" || port == "" || port == "0" {
		return errors.New("needs a host and a port that others can call")
	}
	return nil
}

// entry is the key and value under which inst of service stands.
func entry(service string, inst Instance) (key, value string, err error) {
	if err := checkService(service); err != nil {
		return "", "", err
	}
	if inst.ID == "" || strings.Contains(inst.ID, "/") {
		return "", "", fmt.Errorf("discovery: instance id %q: must be a word without a slash", inst.ID)
	}
	if err := checkAddr(inst.Addr); err != nil {
		return "", "", fmt.Errorf("discovery: instance address %q: %w", inst.Addr, err)
	}
	b, err := json.Marshal(endpoint{Addr: inst.Addr, Metadata: inst.Metadata})
	if err != nil {
		return "", "", fmt.Errorf("discovery: instance %s: %w", inst.ID, err)
	}
	return prefix(service) + inst.ID, string(b), nil
}

// address reads the address from a stored value. The metadata may be of any shape: other programs write here too.
func address(value []byte) (string, error) {
	var e struct {
		Op   uint8
		Addr string
	}
	if err := json.Unmarshal(value, &e); err != nil {
		return "", err
	}
	if e.Op != 0 {
		return "", fmt.Errorf("operation %d is not an addition", e.Op)
	}
	return e.Addr, checkAddr(e.Addr)
}
