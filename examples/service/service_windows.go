package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// pipe is a bare name. Clients accept only a server of the service's account, so it
// needs no protected prefix, under which only administrators may create pipes.
const pipe = "GrpcpipeGreeter"

// runManaged serves if the service manager has started this process.
func runManaged() (bool, error) {
	is, err := svc.IsWindowsService()
	if err != nil || !is {
		return false, err
	}
	return true, svc.Run(name, manager{})
}

// manager handles the requests of the service manager.
type manager struct{}

// snippet: windows

func (manager) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	status <- svc.Status{State: svc.StartPending}
	done := make(chan error, 1)
	ready := func() { status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown} }
	go func() { done <- Serve(ctx, pipe, ready) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				return false, uint32(windows.ERROR_EXCEPTION_IN_SERVICE)
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopTimeout / time.Millisecond)}
				stop()
			}
		}
	}
}

// install installs and starts the service under its own virtual account, which
// needs no password and which no other service shares.
func install(name, exe string, args ...string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("connect to the service manager (as an administrator): %w", err)
	}
	defer m.Disconnect()
	s, err := m.CreateService(name, exe, mgr.Config{
		DisplayName:      "grpcpipe's example service",
		StartType:        mgr.StartAutomatic,
		ServiceStartName: `NT SERVICE\` + name,
	}, args...)
	if errors.Is(err, windows.ERROR_SERVICE_EXISTS) {
		return fmt.Errorf("a service %s is installed already: remove it first: %w", name, err)
	}
	if err != nil {
		return fmt.Errorf("create the service %s: %w", name, err)
	}
	defer s.Close()
	if err := s.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the service %s: %w", name, err), s.Delete())
	}
	return nil
}

// end snippet

// removeTimeout is how long remove waits for the service to stop.
const removeTimeout = stopTimeout + 5*time.Second

func remove(name string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("connect to the service manager (as an administrator): %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(name)
	if err != nil {
		return fmt.Errorf("open the service %s: %w", name, err)
	}
	defer s.Close()
	state, err := s.Control(svc.Stop)
	for end := time.Now().Add(removeTimeout); err == nil && state.State != svc.Stopped; state, err = s.Query() {
		if time.Now().After(end) {
			return fmt.Errorf("the service %s has not stopped in %v", name, removeTimeout)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop the service %s: %w", name, err)
	}
	return s.Delete()
}
