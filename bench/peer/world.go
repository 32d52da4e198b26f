package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/scheduling"
	"sigs.k8s.io/karpenter/pkg/utils/daemonset"
	"sigs.k8s.io/karpenter/pkg/utils/nodepool"
)

const reservationLabel = "karpenter.k8s.aws/capacity-reservation-id"

// document is the input: one catalog and the Kubernetes objects of one cluster.
type document struct {
	Catalog struct {
		InstanceTypes []catalogType `json:"instanceTypes"`
	} `json:"catalog"`
	Objects []json.RawMessage `json:"objects"`
}

type catalogType struct {
	Name      string              `json:"name"`
	Capacity  corev1.ResourceList `json:"capacity"`
	Overhead  corev1.ResourceList `json:"overhead"`
	Labels    map[string][]string `json:"labels"`
	Offerings []catalogOffering   `json:"offerings"`
}

type catalogOffering struct {
	Zone                string            `json:"zone"`
	CapacityType        string            `json:"capacityType"`
	Price               float64           `json:"price"`
	Available           *bool             `json:"available"`
	Labels              map[string]string `json:"labels"`
	ReservationCapacity int               `json:"reservationCapacity"`
}

// world is one cluster as the library wants it. The scheduler keeps and sorts what it is given, so each run gets its own.
type world struct {
	client         client.Client
	pools          []*v1.NodePool
	types          map[string][]*cloudprovider.InstanceType // by pool
	pending, bound []*corev1.Pod
	nodes          []*corev1.Node
	claims         []*v1.NodeClaim
	daemonPods     []*corev1.Pod  // one for each DaemonSet, from its template
	ignored        map[string]int // objects of other kinds
}

// newWorld decodes the document. Pending pods are not put into the client: the scheduler counts none of them there.
func newWorld(doc *document) (*world, error) {
	w := &world{types: map[string][]*cloudprovider.InstanceType{}, ignored: map[string]int{}}
	var stored []client.Object
	for i, raw := range doc.Objects {
		object, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			w.ignored[gvk.Kind]++
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("objects[%d]: %w", i, err)
		}
		if o, ok := object.(client.Object); ok && w.add(o, i) {
			stored = append(stored, o)
		}
	}
	nodepool.OrderByWeight(w.pools)
	instances := instanceTypes(doc.Catalog.InstanceTypes)
	for _, pool := range w.pools {
		w.types[pool.Name] = slices.Clone(instances)
	}
	w.client = fake.NewClientBuilder().WithObjects(stored...).WithIndex(&corev1.Pod{}, "spec.nodeName", nodeName).Build()
	return w, nil
}

func nodeName(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }

// add sorts one object into the world, with what an API server would have defaulted; it tells whether the client holds it.
func (w *world) add(object client.Object, index int) bool {
	if object.GetUID() == "" {
		object.SetUID(types.UID(fmt.Sprintf("%08d", index))) // the scheduler's last tie-break: the order of the input
	}
	if object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0 {
		object.SetFinalizers([]string{"bench/terminating"}) // the fake client stores no terminating object without one
	}
	switch o := object.(type) {
	case *v1.NodePool:
		if o.DeletionTimestamp == nil && o.Spec.Replicas == nil {
			w.pools = append(w.pools, o)
		}
	case *corev1.Pod:
		return w.addPod(o)
	case *appsv1.DaemonSet:
		setNamespace(o)
		w.daemonPods = append(w.daemonPods, daemonset.PodForDaemonSet(o))
	case *corev1.Node:
		w.nodes = append(w.nodes, o)
	case *v1.NodeClaim:
		w.claims = append(w.claims, o)
	case *corev1.PersistentVolumeClaim:
		setNamespace(o)
	}
	return true
}

func (w *world) addPod(pod *corev1.Pod) bool {
	setNamespace(pod)
	defaultRequests(pod.Spec.InitContainers)
	defaultRequests(pod.Spec.Containers)
	finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	owner := metav1.GetControllerOf(pod)
	ofDaemonSet := owner != nil && owner.Kind == "DaemonSet"
	switch {
	case pod.Spec.NodeName != "":
		w.bound = append(w.bound, pod)
		return true
	case !finished && !ofDaemonSet && pod.DeletionTimestamp == nil && len(pod.Spec.SchedulingGates) == 0:
		w.pending = append(w.pending, pod)
	}
	return false
}

func setNamespace(o client.Object) {
	if o.GetNamespace() == "" {
		o.SetNamespace(corev1.NamespaceDefault)
	}
}

// defaultRequests copies limits into missing requests, as the API server does.
func defaultRequests(containers []corev1.Container) {
	for i := range containers {
		resources := &containers[i].Resources
		for name, quantity := range resources.Limits {
			if _, found := resources.Requests[name]; !found {
				if resources.Requests == nil {
					resources.Requests = corev1.ResourceList{}
				}
				resources.Requests[name] = quantity
			}
		}
	}
}

// instanceTypes gives every type every label key of the catalog: a key that it lacks does not exist on its nodes.
func instanceTypes(catalog []catalogType) []*cloudprovider.InstanceType {
	keys := map[string]bool{}
	for _, t := range catalog {
		for key := range t.Labels {
			keys[key] = true
		}
		for _, o := range t.Offerings {
			for key := range o.Labels {
				keys[key] = true
			}
		}
	}
	cloudprovider.ReservationIDLabel = reservationLabel
	v1.WellKnownLabels.Insert(reservationLabel)
	for key := range keys {
		v1.WellKnownLabels.Insert(key) // or the scheduler takes the label for a custom one that no pool defines
	}
	var result []*cloudprovider.InstanceType
	for _, t := range catalog {
		result = append(result, instanceType(t, keys))
	}
	return result
}

func instanceType(t catalogType, keys map[string]bool) *cloudprovider.InstanceType {
	values := map[string][]string{corev1.LabelInstanceTypeStable: {t.Name}, corev1.LabelTopologyZone: nil, v1.CapacityTypeLabelKey: nil}
	for key, list := range t.Labels {
		values[key] = slices.Clone(list)
	}
	var offerings cloudprovider.Offerings
	for _, o := range t.Offerings {
		available := o.Available == nil || *o.Available
		labels := map[string]string{corev1.LabelTopologyZone: o.Zone, v1.CapacityTypeLabelKey: o.CapacityType}
		for key, value := range o.Labels {
			labels[key] = value
		}
		// As the AWS provider does: a zone that is out of stock stays a zone of the type.
		for key, value := range labels {
			values[key] = append(values[key], value)
		}
		offerings = append(offerings, &cloudprovider.Offering{
			Requirements: scheduling.NewLabelRequirements(labels), Price: o.Price, Available: available,
			ReservationCapacity: o.ReservationCapacity,
		})
	}
	requirements := scheduling.NewRequirements()
	for key := range keys {
		requirements.Add(scheduling.NewRequirement(key, corev1.NodeSelectorOpDoesNotExist))
	}
	for key, list := range values {
		requirements[key] = scheduling.NewRequirement(key, corev1.NodeSelectorOpIn, list...)
	}
	return &cloudprovider.InstanceType{
		Name: t.Name, Requirements: requirements, Offerings: offerings, Capacity: t.Capacity,
		Overhead: &cloudprovider.InstanceTypeOverhead{KubeReserved: t.Overhead},
	}
}

// state feeds the cluster's nodes and running pods to the library's own view of the cluster.
func (w *world) state(ctx context.Context) (*state.Cluster, error) {
	cluster := state.NewCluster(&clock.RealClock{}, w.client, nil) // the scheduler never asks it for the cloud provider
	for _, claim := range w.claims {
		cluster.UpdateNodeClaim(claim)
	}
	for _, node := range w.nodes {
		if err := cluster.UpdateNode(ctx, node.DeepCopy()); err != nil {
			return nil, fmt.Errorf("node %s: %w", node.Name, err)
		}
	}
	for _, pod := range w.bound {
		if err := cluster.UpdatePod(ctx, pod); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return cluster, nil
}
