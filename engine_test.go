package grpcpipe_test

import (
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
)

// TestFast runs with package fastgrpc what isn't about grpc-go itself. By
// themselves the tests run with grpc-go.
func TestFast(t *testing.T) {
	for _, test := range []func(*testing.T){
		TestSpellingsReachTheirPipe, TestNamesAreNeverDecoded, TestUnixPath, TestAuthorityOfTheCallerWins,
		TestServerSeesOurAuthInfo, TestMissingPipe, TestGzip, TestPingsAreNotPunished,
		TestTLS, TestStrangePeers, TestSilentServerIsGivenUpAfterFiveSeconds, TestHTTP1Server,
		TestServerCutsSilentClient, TestStatesAsTheServerDiesAndReturns, TestServerSettings,
		TestRoundRobinOverSeveralPipes, TestPickFirstFailsOver, TestPatternFollowsServers,
		TestStreamLimitIsNamed, TestStreamLimitIsNotBlamedForAnythingElse,
		TestWithConnections, TestWithConnectionsFromTheFirstCall, TestWithConnectionsBesideASilentServer,
		TestWithConnectionsToAServerWithRoomForOne, TestBackoffIsCutShort,
		TestPeerInHandler, TestServerInClient, TestTLSOnTop, TestPerCallCredentials, TestServerNotTrusted, TestImpersonate,
		TestSoakServerKilled, TestSoakGracefulStop, TestSoakStrangers, TestSoakClients, TestSoakConnections,
	} {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		t.Run(strings.TrimPrefix(name[strings.LastIndexByte(name, '.')+1:], "Test"), test)
	}
}

// engineOf is the engine that the test runs with.
func engineOf(t testing.TB) engine.Engine {
	if strings.HasPrefix(t.Name(), "TestFast/") {
		return engine.Fast
	}
	return engine.GRPC
}

// byName is the engine of the name.
func byName(name string) engine.Engine {
	if name == engine.Fast.Name {
		return engine.Fast
	}
	return engine.GRPC
}
