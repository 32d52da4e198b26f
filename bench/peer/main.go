// Command peer schedules pods with the scheduler of Karpenter core, as a library, and prints what it decides.
//
// Input: one JSON document {"catalog": …, "objects": […]}, from the file named as argument or from standard input.
// Output: one JSON document {"peer": version, "pods": n, "runs": [{"seconds", "nodes", …}]}.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning"
	karpenter "sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator/injection"
	"sigs.k8s.io/karpenter/pkg/operator/logging"
	"sigs.k8s.io/karpenter/pkg/operator/options"
	"sigs.k8s.io/karpenter/pkg/scheduling"
)

const mostTypesShown = 60

type answer struct {
	Seconds         float64             `json:"seconds"` // NewTopology, NewScheduler and Solve
	SolveSeconds    float64             `json:"solveSeconds"`
	TimedOut        bool                `json:"timedOut,omitempty"`
	PricePerHour    float64             `json:"pricePerHour"`
	PeakMemoryBytes int64               `json:"peakMemoryBytes"`
	Nodes           []node              `json:"nodes"`
	Existing        map[string][]string `json:"existing"`
	Unschedulable   map[string]string   `json:"unschedulable"`
}

type node struct {
	NodePool      string   `json:"nodePool"`
	InstanceType  string   `json:"instanceType"`
	Zone          string   `json:"zone"`
	CapacityType  string   `json:"capacityType"`
	PricePerHour  float64  `json:"pricePerHour"`
	InstanceTypes []string `json:"instanceTypes"`
	Pods          []string `json:"pods"`
}

func main() {
	runs := flag.Int("runs", 1, "how often to schedule, each time from the same start")
	timeout := flag.Duration("timeout", 10*time.Minute, "longest time for one run; what is placed by then is kept")
	workers := flag.Int("workers", 5, "the scheduler's parallel workers; 5 is what its own benchmark uses")
	flag.Parse()
	if err := run(flag.Arg(0), *runs, *workers, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
}

func run(path string, runs, workers int, timeout time.Duration) error {
	doc, err := read(path)
	if err != nil {
		return err
	}
	log.SetLogger(logging.NopLogger)
	out := struct {
		Peer string    `json:"peer"`
		Pods int       `json:"pods"`
		Runs []*answer `json:"runs"`
	}{Peer: version()}
	for i := range runs {
		w, err := newWorld(doc)
		if err != nil {
			return err
		}
		if i == 0 {
			for kind, n := range w.ignored {
				fmt.Fprintf(os.Stderr, "peer: %d objects of kind %s are not read\n", n, kind)
			}
		}
		out.Pods = len(w.pending)
		a, err := schedule(w, workers, timeout)
		if err != nil {
			return err
		}
		out.Runs = append(out.Runs, a)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func read(path string) (*document, error) {
	source := io.Reader(os.Stdin)
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // read only
		source = file
	}
	doc := &document{}
	if err := json.NewDecoder(source).Decode(doc); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return doc, nil
}

// schedule takes one decision, set up as the provisioner does it and timed without the reading of the input.
func schedule(w *world, workers int, timeout time.Duration) (*answer, error) {
	ctx := options.ToContext(injection.WithControllerName(context.Background(), "provisioner"), &options.Options{
		CPURequests: int64(workers) * 1000, PreferencePolicy: options.PreferencePolicyRespect, MinValuesPolicy: options.MinValuesPolicyStrict,
		IgnoreDRARequests: true, FeatureGates: options.DefaultFeatureGates(),
	})
	recorder, realClock := events.NewRecorder(&record.FakeRecorder{}), &clock.RealClock{}
	cluster, err := w.state(ctx)
	if err != nil {
		return nil, err
	}
	a := &answer{Nodes: []node{}, Existing: map[string][]string{}, Unschedulable: map[string]string{}}
	pods, volumes := w.provisionable(ctx, provisioning.NewProvisioner(w.client, recorder, nil, cluster, realClock, nil, nil), a)
	stateNodes := cluster.DeepCopyNodes().Active()
	opts := []karpenter.Options{
		karpenter.DisableReservedCapacityFallback, karpenter.NumConcurrentReconciles(workers),
		karpenter.MinValuesPolicy(options.MinValuesPolicyStrict),
	}
	resetPeakMemory()

	start := time.Now()
	topology, err := karpenter.NewTopology(ctx, w.client, cluster, stateNodes, w.pools, w.types, pods, opts...)
	if err != nil {
		return nil, fmt.Errorf("topology: %w", err)
	}
	scheduler := karpenter.NewScheduler(ctx, w.client, w.pools, cluster, stateNodes, topology, w.types, w.daemonPods, recorder, realClock, volumes, nil, opts...)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	solving := time.Now()
	results, err := scheduler.Solve(limited, pods)
	a.SolveSeconds, a.Seconds = time.Since(solving).Seconds(), time.Since(start).Seconds()

	a.PeakMemoryBytes = peakMemory()
	a.TimedOut = errors.Is(err, context.DeadlineExceeded)
	if err != nil && !a.TimedOut {
		return nil, fmt.Errorf("solve: %w", err)
	}
	a.fill(results.TruncateInstanceTypes(ctx, karpenter.MaxInstanceTypes), pods)
	return a, nil
}

// provisionable drops the pods that the provisioner refuses before it schedules, and finds where volumes may be.
func (w *world) provisionable(ctx context.Context, p *provisioning.Provisioner, a *answer) ([]*corev1.Pod, map[types.UID][]scheduling.Requirements) {
	pods, volumes := []*corev1.Pod{}, map[types.UID][]scheduling.Requirements{}
	finder := karpenter.NewVolumeTopology(w.client)
	for _, pod := range w.pending {
		requirements, err := []scheduling.Requirements(nil), p.Validate(ctx, pod)
		if err == nil {
			requirements, err = finder.GetRequirements(ctx, pod)
		}
		if err != nil {
			a.Unschedulable[key(pod)] = err.Error()
			continue
		}
		if len(requirements) > 0 {
			volumes[pod.UID] = requirements
		}
		pods = append(pods, pod)
	}
	return pods, volumes
}

func (a *answer) fill(results karpenter.Results, pods []*corev1.Pod) {
	placed := map[string]bool{}
	note := func(list []*corev1.Pod) []string {
		names := keys(list)
		for _, name := range names {
			placed[name] = true
		}
		return names
	}
	for _, claim := range results.NewNodeClaims {
		n := newNode(claim, note(claim.Pods))
		a.Nodes = append(a.Nodes, n)
		a.PricePerHour += n.PricePerHour
	}
	for _, existing := range results.ExistingNodes {
		if len(existing.Pods) > 0 {
			a.Existing[existing.Name()] = note(existing.Pods)
		}
	}
	for pod, err := range results.PodErrors {
		a.Unschedulable[key(pod)] = err.Error()
	}
	for _, pod := range pods {
		if name := key(pod); !placed[name] && a.Unschedulable[name] == "" {
			a.Unschedulable[name] = "not reached before the timeout"
		}
	}
}

// newNode prices a claim at its cheapest available offering and lists its types, cheapest first.
func newNode(claim *karpenter.NodeClaim, pods []string) node {
	n := node{NodePool: claim.NodePoolName, Pods: pods}
	cheapest := map[string]*cloudprovider.Offering{}
	for _, t := range claim.InstanceTypeOptions {
		if offerings := t.Offerings.Available().Compatible(claim.Requirements); len(offerings) > 0 {
			cheapest[t.Name] = slices.MinFunc(offerings, func(x, y *cloudprovider.Offering) int {
				return cmp.Or(cmp.Compare(x.Price, y.Price), cmp.Compare(x.Zone(), y.Zone()), cmp.Compare(x.CapacityType(), y.CapacityType()))
			})
			n.InstanceTypes = append(n.InstanceTypes, t.Name)
		}
	}
	slices.SortFunc(n.InstanceTypes, func(x, y string) int {
		return cmp.Or(cmp.Compare(cheapest[x].Price, cheapest[y].Price), cmp.Compare(x, y))
	})
	if len(n.InstanceTypes) == 0 {
		n.PricePerHour = math.NaN() // cannot be: every claim keeps a type on sale; encoding fails loudly
		return n
	}
	n.InstanceType = n.InstanceTypes[0]
	offering := cheapest[n.InstanceType]
	n.Zone, n.CapacityType, n.PricePerHour = offering.Zone(), offering.CapacityType(), offering.Price
	n.InstanceTypes = n.InstanceTypes[:min(len(n.InstanceTypes), mostTypesShown)]
	return n
}

func key(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }

func keys(pods []*corev1.Pod) []string {
	names := []string{}
	for _, pod := range pods {
		names = append(names, key(pod))
	}
	slices.Sort(names)
	return names
}

// resetPeakMemory starts a new high-water mark, so that each run reports its own.
func resetPeakMemory() {
	runtime.GC()
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // not allowed: the mark of the whole process stands
}

// peakMemory is the process's highest resident size in bytes; 0 where the kernel does not tell it.
func peakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib * 1024
		}
	}
	return 0
}

// version names the module that the binary was built with.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == "sigs.k8s.io/karpenter" {
			return "Karpenter core " + dependency.Version
		}
	}
	return "Karpenter core"
}
