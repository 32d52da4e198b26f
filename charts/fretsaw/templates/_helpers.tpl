{{- define "fretsaw.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "fretsaw.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "fretsaw.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "fretsaw.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fretsaw.selectorLabels" -}}
app.kubernetes.io/name: {{ include "fretsaw.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fretsaw.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "fretsaw.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels and annotations that all objects have. Call it with the root. */}}
{{- define "fretsaw.metadata" -}}
labels:
  {{- include "fretsaw.labels" . | nindent 2 }}
{{- with .Values.additionalAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "fretsaw.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "fretsaw.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: the account to use, since serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "fretsaw.leaseNamespace" -}}
{{- default .Release.Namespace .Values.settings.leaderElectionNamespace -}}
{{- end -}}

{{- define "fretsaw.image" -}}
{{- $repository := required "image.repository: where you pushed the image; none is published yet, docs/install.md says how to build it" .Values.image.repository -}}
{{- $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Settings as environment variables. Whole numbers are floats here, of which large ones would be printed as 1e+06. */}}
{{- define "fretsaw.environment" -}}
{{- range $name, $value := .Values.settings }}
{{- if kindIs "map" $value }}
{{- $gates := list }}
{{- range $gate, $on := $value }}
{{- $gates = append $gates (printf "%s=%t" (title $gate) $on) }}
{{- end }}
{{- $value = join "," $gates }}
{{- else if kindIs "float64" $value }}
{{- $value = int64 $value }}
{{- end }}
{{- $value = toString $value }}
{{- if $value }}
- name: {{ snakecase $name | upper }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}
