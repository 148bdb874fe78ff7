{{- define "sp.labels" -}}
app.kubernetes.io/name: structured-prompt
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "sp.selector" -}}
app.kubernetes.io/name: structured-prompt
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* of (root, settings of the process itself): the environment of every process of ours */}}
{{- define "sp.environment" -}}
{{- $root := index . 0 }}
{{- range $name, $value := merge (dict) (index . 1) $root.Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if $root.Values.trustedProxies }}
- name: STRUCTURED_PROMPT_TRUSTED_PROXIES
  value: {{ $root.Values.trustedProxies | quote }}
{{- end }}
{{- range $root.Values.secrets.files }}
- name: {{ . }}_FILE
  value: /run/secrets/structured-prompt/{{ . }}
{{- end }}
{{- range $root.Values.secrets.variables }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $root.Values.secrets.name }}, key: {{ . }}}
{{- end }}
{{- end }}

{{- define "sp.pod" -}}
automountServiceAccountToken: false
# else a Service `structured-prompt-…` of the namespace becomes STRUCTURED_PROMPT_… here, which are settings
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: tmp
    emptyDir: {}
  - name: secrets
    secret:
      secretName: {{ .Values.secrets.name }}
      defaultMode: 0440
      items:
        {{- range .Values.secrets.files }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sp.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: secrets, mountPath: /run/secrets/structured-prompt, readOnly: true}
{{- end }}
