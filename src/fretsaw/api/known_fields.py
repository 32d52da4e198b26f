"""The field names of core objects, so that `nodeSelectr` is noticed: an API server drops it or warns about it.

One line a type: its fields; `field:Type` descends, also into the items of a list; other fields are not looked into.
Source: Kubernetes v1.36 API reference.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from fretsaw.api.problem import Problem
from fretsaw.api.rules_text import near

_TYPES: Final = """
Pod: apiVersion kind metadata:Meta spec:PodSpec status:PodStatus
PodTemplate: apiVersion kind metadata:Meta template:Template
ReplicationController: apiVersion kind metadata:Meta spec:ControllerSpec status
Deployment: apiVersion kind metadata:Meta spec:DeploymentSpec status
ReplicaSet: apiVersion kind metadata:Meta spec:ReplicaSetSpec status
StatefulSet: apiVersion kind metadata:Meta spec:StatefulSetSpec status
DaemonSet: apiVersion kind metadata:Meta spec:DaemonSetSpec status
Job: apiVersion kind metadata:Meta spec:JobSpec status
CronJob: apiVersion kind metadata:Meta spec:CronJobSpec status
Node: apiVersion kind metadata:Meta spec:NodeSpec status:NodeStatus
Namespace: apiVersion kind metadata:Meta spec status
Service: apiVersion kind metadata:Meta spec:ServiceSpec status
PersistentVolumeClaim: apiVersion kind metadata:Meta spec:ClaimSpec status
PersistentVolume: apiVersion kind metadata:Meta spec:VolumeSpec status
PodDisruptionBudget: apiVersion kind metadata:Meta spec:BudgetSpec status
HorizontalPodAutoscaler: apiVersion kind metadata:Meta spec:AutoscalerSpec status
PriorityClass: apiVersion kind metadata:Meta value globalDefault description preemptionPolicy
RuntimeClass: apiVersion kind metadata:Meta handler overhead:Overhead scheduling:RuntimeScheduling
StorageClass: apiVersion kind metadata:Meta provisioner parameters reclaimPolicy mountOptions allowVolumeExpansion
 volumeBindingMode allowedTopologies:TopologyTerm
CSINode: apiVersion kind metadata:Meta spec:CSINodeSpec
VolumeAttachment: apiVersion kind metadata:Meta spec:AttachmentSpec status

Meta: name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp
 deletionGracePeriodSeconds labels annotations ownerReferences:Owner finalizers managedFields
Owner: apiVersion kind name uid controller blockOwnerDeletion
Selector: matchLabels matchExpressions:Expression
Expression: key operator values
Template: metadata:Meta spec:PodSpec

DeploymentSpec: replicas selector:Selector template:Template strategy:Strategy minReadySeconds revisionHistoryLimit
 paused progressDeadlineSeconds
Strategy: type rollingUpdate:RollingUpdate
RollingUpdate: maxUnavailable maxSurge partition
ReplicaSetSpec: replicas minReadySeconds selector:Selector template:Template
ControllerSpec: replicas minReadySeconds selector template:Template
StatefulSetSpec: replicas selector:Selector template:Template volumeClaimTemplates:ClaimTemplate serviceName
 podManagementPolicy updateStrategy:Strategy revisionHistoryLimit minReadySeconds persistentVolumeClaimRetentionPolicy
 ordinals:Ordinals
Ordinals: start
DaemonSetSpec: selector:Selector template:Template updateStrategy:Strategy minReadySeconds revisionHistoryLimit
JobSpec: parallelism completions activeDeadlineSeconds podFailurePolicy successPolicy backoffLimit
 backoffLimitPerIndex maxFailedIndexes selector:Selector manualSelector template:Template ttlSecondsAfterFinished
 completionMode suspend podReplacementPolicy managedBy
CronJobSpec: schedule timeZone startingDeadlineSeconds concurrencyPolicy suspend jobTemplate:JobTemplate
 successfulJobsHistoryLimit failedJobsHistoryLimit
JobTemplate: metadata:Meta spec:JobSpec

PodSpec: volumes:Volume initContainers:Container containers:Container ephemeralContainers restartPolicy
 terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName serviceAccount
 automountServiceAccountToken nodeName hostNetwork hostPID hostIPC shareProcessNamespace securityContext:PodSecurity
 imagePullSecrets:Name hostname subdomain affinity:Affinity schedulerName tolerations:Toleration hostAliases
 priorityClassName priority dnsConfig readinessGates:ReadinessGate runtimeClassName enableServiceLinks
 preemptionPolicy overhead topologySpreadConstraints:Spread setHostnameAsFQDN os:Name hostUsers schedulingGates:Name
 resourceClaims:PodClaim resources:Resources hostnameOverride workloadRef schedulingGroup
PodSecurity: seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot supplementalGroups
 supplementalGroupsPolicy fsGroup sysctls fsGroupChangePolicy seccompProfile appArmorProfile seLinuxChangePolicy
Name: name
ReadinessGate: conditionType
PodClaim: name resourceClaimName resourceClaimTemplateName
Container: name image command args workingDir ports:Port envFrom:EnvFrom env:Env resources:Resources
 resizePolicy:ResizePolicy restartPolicy restartPolicyRules volumeMounts:Mount volumeDevices:Device
 livenessProbe:Probe readinessProbe:Probe startupProbe:Probe lifecycle:Lifecycle terminationMessagePath
 terminationMessagePolicy imagePullPolicy securityContext:Security stdin stdinOnce tty
Port: name hostPort containerPort protocol hostIP
EnvFrom: prefix configMapRef secretRef
Env: name value valueFrom:EnvSource
EnvSource: fieldRef resourceFieldRef configMapKeyRef secretKeyRef fileKeyRef
Resources: limits requests claims:ClaimUse
ClaimUse: name request
ResizePolicy: resourceName restartPolicy
Mount: name readOnly recursiveReadOnly mountPath subPath mountPropagation subPathExpr
Device: name devicePath
Probe: exec:Exec httpGet:HTTPGet tcpSocket grpc initialDelaySeconds timeoutSeconds periodSeconds successThreshold
 failureThreshold terminationGracePeriodSeconds
Exec: command
HTTPGet: path port host scheme httpHeaders
Lifecycle: postStart:Hook preStop:Hook stopSignal
Hook: exec:Exec httpGet:HTTPGet tcpSocket sleep
Security: capabilities:Capabilities privileged seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot
 readOnlyRootFilesystem allowPrivilegeEscalation procMount seccompProfile appArmorProfile
Capabilities: add drop
Toleration: key operator value effect tolerationSeconds
Affinity: nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAffinity
NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
 preferredDuringSchedulingIgnoredDuringExecution:PreferredNode
NodeSelector: nodeSelectorTerms:NodeTerm
NodeTerm: matchExpressions:Expression matchFields:Expression
PreferredNode: weight preference:NodeTerm
PodAffinity: requiredDuringSchedulingIgnoredDuringExecution:PodTerm
 preferredDuringSchedulingIgnoredDuringExecution:PreferredPod
PodTerm: labelSelector:Selector namespaces topologyKey namespaceSelector:Selector matchLabelKeys mismatchLabelKeys
PreferredPod: weight podAffinityTerm:PodTerm
Spread: maxSkew topologyKey whenUnsatisfiable labelSelector:Selector minDomains nodeAffinityPolicy nodeTaintsPolicy
 matchLabelKeys
Volume: name hostPath:HostPath emptyDir:EmptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret:SecretVolume
 nfs iscsi glusterfs persistentVolumeClaim:ClaimVolume rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile
 configMap:MapVolume vsphereVolume quobyte azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos
 csi ephemeral:Ephemeral image
HostPath: path type
EmptyDir: medium sizeLimit
SecretVolume: secretName items defaultMode optional
MapVolume: name items defaultMode optional
ClaimVolume: claimName readOnly
Ephemeral: volumeClaimTemplate:ClaimTemplate
ClaimTemplate: apiVersion kind metadata:Meta spec:ClaimSpec status
ClaimSpec: accessModes selector:Selector resources:Resources volumeName storageClassName volumeMode dataSource
 dataSourceRef volumeAttributesClassName

PodStatus: observedGeneration phase conditions message reason nominatedNodeName hostIP hostIPs podIP podIPs startTime
 initContainerStatuses:ContainerStatus containerStatuses:ContainerStatus qosClass ephemeralContainerStatuses resize
 resourceClaimStatuses extendedResourceClaimStatus allocatedResources resources:Resources
 nodeAllocatableResourceClaimStatuses
ContainerStatus: name state lastState ready restartCount image imageID containerID started allocatedResources
 resources:Resources volumeMounts user allocatedResourcesStatus stopSignal
NodeSpec: podCIDR podCIDRs providerID unschedulable taints:Taint configSource externalID
Taint: key value effect timeAdded
NodeStatus: capacity allocatable phase conditions addresses daemonEndpoints nodeInfo images volumesInUse
 volumesAttached config runtimeHandlers features declaredFeatures
ServiceSpec: ports selector clusterIP clusterIPs type externalIPs sessionAffinity loadBalancerIP
 loadBalancerSourceRanges externalName externalTrafficPolicy healthCheckNodePort publishNotReadyAddresses
 sessionAffinityConfig ipFamilies ipFamilyPolicy allocateLoadBalancerNodePorts loadBalancerClass internalTrafficPolicy
 trafficDistribution
VolumeSpec: capacity gcePersistentDisk awsElasticBlockStore hostPath:HostPath glusterfs nfs rbd iscsi cinder cephfs fc
 flocker flexVolume azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO local
 storageos csi:CSIVolume accessModes claimRef persistentVolumeReclaimPolicy storageClassName mountOptions volumeMode
 nodeAffinity:VolumeAffinity volumeAttributesClassName
CSIVolume: driver volumeHandle readOnly fsType volumeAttributes controllerPublishSecretRef nodeStageSecretRef
 nodePublishSecretRef controllerExpandSecretRef nodeExpandSecretRef
VolumeAffinity: required:NodeSelector
BudgetSpec: minAvailable maxUnavailable selector:Selector unhealthyPodEvictionPolicy
AutoscalerSpec: scaleTargetRef:Reference minReplicas maxReplicas metrics:Metric behavior:Behavior
 targetCPUUtilizationPercentage
Reference: apiVersion kind name
Metric: type resource:ResourceMetric containerResource:ContainerMetric pods:PodsMetric object:ObjectMetric
 external:PodsMetric
ResourceMetric: name target:MetricTarget
ContainerMetric: name container target:MetricTarget
PodsMetric: metric:MetricName target:MetricTarget
ObjectMetric: describedObject:Reference metric:MetricName target:MetricTarget
MetricName: name selector:Selector
MetricTarget: type value averageValue averageUtilization
Behavior: scaleUp:ScalingRules scaleDown:ScalingRules
ScalingRules: stabilizationWindowSeconds selectPolicy policies:ScalingPolicy tolerance
ScalingPolicy: type value periodSeconds
Overhead: podFixed
RuntimeScheduling: nodeSelector tolerations:Toleration
TopologyTerm: matchLabelExpressions:TopologyExpression
TopologyExpression: key values
CSINodeSpec: drivers:Driver
Driver: name nodeID topologyKeys allocatable:DriverRoom
DriverRoom: count
AttachmentSpec: attacher source nodeName
"""

_Fields = dict[str, str]


@lru_cache(maxsize=1)
def _table() -> dict[str, _Fields]:
    """Type → field → the type of its value, empty where nothing is known about it."""
    lines = _TYPES.replace("\n ", " ").split("\n")
    table: dict[str, _Fields] = {}
    for line in filter(None, lines):
        name, _, words = line.partition(": ")
        table[name] = {word.partition(":")[0]: word.partition(":")[2] for word in words.split()}
    return table


@lru_cache(maxsize=1)
def _typed() -> dict[str, tuple[frozenset[str], dict[str, str]]]:
    """For each type its field names, and those of them that lead to another type."""
    return {
        name: (frozenset(fields), {field: kind for field, kind in fields.items() if kind})
        for name, fields in _table().items()
    }


def unknown(raw: dict[str, Any], kind: str) -> list[Problem]:
    """A warning for each field that the kind does not have."""
    found: list[Problem] = []
    if kind in _typed():
        _walk(raw, kind, "", found)
    return found


def _walk(tree: Any, kind: str, path: str, found: list[Problem]) -> None:
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            if isinstance(item, dict):
                _walk(item, kind, f"{path}[{index}]", found)
        return
    if not isinstance(tree, dict):
        return
    names, descend = _typed()[kind]
    if not names.issuperset(tree):
        found.extend(_warning(field, kind, path) for field in tree if field not in names)
    for field, value in tree.items():
        if value and field in descend:
            _walk(value, descend[field], f"{path}.{field}" if path else field, found)


def _warning(field: str, kind: str, path: str) -> Problem:
    meant = near(field, _typed()[kind][0])
    where = f"{path}.{field}" if path else field
    return Problem(where, "no such field, it has no effect", "warning", right=_advice(field, kind, meant))


def _advice(field: str, kind: str, meant: str) -> str:
    """The name that was meant; or the place where a field of this name belongs."""
    if meant:
        return f"did you mean {meant}?"
    homes = sorted(name for name, fields in _table().items() if field in fields and name in ("PodSpec", "Container"))
    if homes and kind not in homes:
        place = {"PodSpec": "the pod's spec", "Container": "a container"}[homes[-1]]
        return f"{field} belongs in {place}"
    return ""
