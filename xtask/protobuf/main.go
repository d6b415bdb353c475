// Command protobuf prints what lockgate-wire needs to read Kubernetes protobuf bodies, by reflection over the Go types that the
// API server itself uses.
//
//	protobuf table             the table of kinds, messages and fields (crates/lockgate-wire/src/protobuf/table.txt)
//	protobuf fixtures N KINDS  N random objects of each kind, as the API server's own serializers write them: one line of
//	                           base64 protobuf, a tab, and JSON for each; KINDS is a comma-separated list, or "all"
//	protobuf twins FILE        the objects of a file, and a random one of every other kind, as requests in both forms
//	protobuf decode            reads lines of base64 protobuf and prints for each what the API server's own serializers make of it,
//	                           as JSON, or "-" if they refuse it
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializerjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationv1beta1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// Types whose JSON or protobuf form is written by hand; lockgate-wire has a decoder for each.
var special = map[reflect.Type]string{
	reflect.TypeFor[intstr.IntOrString]():                                "IntOrString",
	reflect.TypeFor[resource.Quantity]():                                 "Quantity",
	reflect.TypeFor[metav1.Time]():                                       "Time",
	reflect.TypeFor[metav1.MicroTime]():                                  "MicroTime",
	reflect.TypeFor[metav1.Duration]():                                   "Duration",
	reflect.TypeFor[metav1.FieldsV1]():                                   "Raw",
	reflect.TypeFor[runtime.RawExtension]():                              "Raw",
	reflect.TypeFor[apiextensionsv1.JSON]():                              "Raw",
	reflect.TypeFor[apiextensionsv1beta1.JSON]():                         "Raw",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrBool]():             "SchemaOrBool",
	reflect.TypeFor[apiextensionsv1beta1.JSONSchemaPropsOrBool]():        "SchemaOrBool",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrArray]():            "SchemaOrSchemas",
	reflect.TypeFor[apiextensionsv1beta1.JSONSchemaPropsOrArray]():       "SchemaOrSchemas",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrStringArray]():      "SchemaOrStrings",
	reflect.TypeFor[apiextensionsv1beta1.JSONSchemaPropsOrStringArray](): "SchemaOrStrings",
}

func main() {
	for _, add := range []func(*runtime.Scheme) error{
		apiextensionsv1.AddToScheme, apiextensionsv1beta1.AddToScheme,
		apiregistrationv1.AddToScheme, apiregistrationv1beta1.AddToScheme, metricsv1beta1.AddToScheme,
	} {
		must(add(scheme.Scheme))
	}
	out := bufio.NewWriter(os.Stdout)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "table":
		newTable().print(out)
	case len(os.Args) == 4 && os.Args[1] == "fixtures":
		count, err := strconv.Atoi(os.Args[2])
		must(err)
		fixtures(out, count, os.Args[3])
	case len(os.Args) == 3 && os.Args[1] == "twins":
		twins(out, os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "decode":
		decode(out, os.Stdin)
	default:
		fmt.Fprintln(os.Stderr, "usage: protobuf table | protobuf fixtures N KINDS | protobuf twins FILE | protobuf decode")
		os.Exit(2)
	}
	must(out.Flush())
}

// kinds lists every kind that has a protobuf form, in a stable order.
func kinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for kind, t := range scheme.Scheme.AllKnownTypes() {
		if kind.Version != runtime.APIVersionInternal && isMessage(t) {
			kinds = append(kinds, kind)
		}
	}
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].String() < kinds[j].String() })
	return kinds
}

// isMessage tells whether a type, or a pointer to it, marshals itself to protobuf.
func isMessage(t reflect.Type) bool {
	_, ok := reflect.New(t).Interface().(interface{ Marshal() ([]byte, error) })
	return ok
}

type table struct {
	messages map[reflect.Type]string
	queue    []reflect.Type
	kinds    []string
}

func newTable() *table {
	t := &table{messages: map[reflect.Type]string{}}
	for _, kind := range kinds() {
		name := t.message(scheme.Scheme.AllKnownTypes()[kind])
		t.kinds = append(t.kinds, fmt.Sprintf("kind %s %s %s", kind.GroupVersion(), kind.Kind, name))
	}
	return t
}

// message names a type and queues it for printing.
func (t *table) message(goType reflect.Type) string {
	name, known := t.messages[goType]
	if !known {
		name = strings.TrimPrefix(goType.PkgPath(), "k8s.io/") + "." + goType.Name()
		t.messages[goType] = name
		t.queue = append(t.queue, goType)
	}
	return name
}

func (t *table) print(out *bufio.Writer) {
	fmt.Fprintln(out, "# Made by `cargo xtask codegen protobuf` from Kubernetes "+version()+"; do not edit.")
	fmt.Fprintln(out, "# kind APIVERSION KIND MESSAGE; message NAME [items TYPE | special FORM]; then its fields: NUMBER JSON-NAME TYPE FLAGS")
	fmt.Fprintln(out, "# TYPE: [* pointer | [] list | {} map of strings] string bytes bool int32 int64 double @MESSAGE; FLAGS: e omitempty, z omitzero, i inline")
	for _, kind := range t.kinds {
		fmt.Fprintln(out, kind)
	}
	for len(t.queue) > 0 {
		goType := t.queue[0]
		t.queue = t.queue[1:]
		t.printMessage(out, goType)
	}
}

func (t *table) printMessage(out *bufio.Writer, goType reflect.Type) {
	name := t.messages[goType]
	form, isSpecial := special[goType]
	if _, hand := reflect.New(goType).Interface().(json.Marshaler); hand && !isSpecial {
		panic(name + " writes its JSON by hand and is not known here")
	}
	switch {
	case isSpecial:
		fmt.Fprintf(out, "message %s special %s\n", name, form)
		if !strings.HasPrefix(form, "Schema") {
			return
		}
	case goType.Kind() == reflect.Slice:
		fmt.Fprintf(out, "message %s items %s\n", name, t.element(goType.Elem()))
		return
	case goType.Kind() != reflect.Struct:
		panic(name + " is neither struct nor slice")
	default:
		fmt.Fprintf(out, "message %s\n", name)
	}
	for i := range goType.NumField() {
		if line := t.field(name, goType.Field(i)); line != "" {
			fmt.Fprintln(out, line)
		}
	}
}

func (t *table) field(message string, field reflect.StructField) string {
	if field.Tag.Get("protobuf") == "" && field.Type == reflect.TypeFor[metav1.TypeMeta]() {
		return "" // apiVersion and kind travel in the envelope
	}
	options := strings.Split(field.Tag.Get("json"), ",")
	jsonName := options[0]
	if jsonName == "-" {
		panic(message + "." + field.Name + " has no JSON name")
	}
	flags := ""
	switch {
	case jsonName != "":
	case field.Anonymous:
		jsonName, flags = "-", "i"
	default:
		jsonName = field.Name
	}
	if slices.Contains(options, "omitempty") {
		flags += "e"
	}
	if slices.Contains(options, "omitzero") {
		flags += "z"
	}
	number, _, ok := strings.Cut(strings.TrimPrefix(field.Tag.Get("protobuf"), wire(field.Tag.Get("protobuf"))+","), ",")
	if !ok {
		panic(message + "." + field.Name + " has no protobuf tag")
	}
	return strings.TrimRight(fmt.Sprintf("%s %s %s %s", number, jsonName, t.fieldType(field.Type), flags), " ")
}

func wire(tag string) string {
	wire, _, _ := strings.Cut(tag, ",")
	return wire
}

func (t *table) fieldType(goType reflect.Type) string {
	switch {
	case goType.Kind() == reflect.Pointer:
		return "*" + t.element(goType.Elem())
	case goType.Kind() == reflect.Map && goType.Key().Kind() == reflect.String:
		return "{}" + t.element(goType.Elem())
	case goType.Kind() == reflect.Slice && goType.Elem().Kind() != reflect.Uint8 && !isMessage(goType):
		return "[]" + t.element(goType.Elem())
	default:
		return t.element(goType)
	}
}

func (t *table) element(goType reflect.Type) string {
	switch {
	case isMessage(goType):
		return "@" + t.message(goType)
	case goType.Kind() == reflect.String:
		return "string"
	case goType.Kind() == reflect.Slice && goType.Elem().Kind() == reflect.Uint8:
		return "bytes"
	case goType.Kind() == reflect.Bool:
		return "bool"
	case goType.Kind() == reflect.Int32:
		return "int32"
	case goType.Kind() == reflect.Int64, goType.Kind() == reflect.Int:
		return "int64"
	case goType.Kind() == reflect.Float64:
		return "double"
	}
	panic("a field of type " + goType.String())
}

// fixtures prints random objects as the API server's serializers write them, reproducibly.
func fixtures(out *bufio.Writer, count int, wanted string) {
	toProtobuf := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	toJSON := serializerjson.NewSerializerWithOptions(serializerjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, serializerjson.SerializerOptions{})
	names := strings.Split(wanted, ",")
	for _, kind := range kinds() {
		if wanted != "all" && !slices.Contains(names, kind.Kind) && !slices.Contains(names, kind.GroupVersion().String()+"/"+kind.Kind) {
			continue
		}
		random := rand.New(rand.NewSource(int64(len(kind.String()))))
		for i := range count {
			object, err := scheme.Scheme.New(kind)
			must(err)
			filler{random, []float64{0, 0.3, 0.9}[i%3]}.fill(reflect.ValueOf(object).Elem(), 0)
			object.GetObjectKind().SetGroupVersionKind(kind)
			if object.GetObjectKind().GroupVersionKind() != kind {
				break // WatchEvent has no kind
			}
			var wire, text bytes.Buffer
			must(toProtobuf.Encode(object, &wire))
			// What counts is the object that the API server has after decoding, not the one that was encoded.
			decoded, _, err := toProtobuf.Decode(wire.Bytes(), nil, nil)
			must(err)
			decoded.GetObjectKind().SetGroupVersionKind(kind)
			must(toJSON.Encode(decoded, &text))
			fmt.Fprintf(out, "%s\t%s\n", base64.StdEncoding.EncodeToString(wire.Bytes()), bytes.TrimSpace(text.Bytes()))
		}
	}
}

// decode prints what the API server's serializers make of each line.
func decode(out *bufio.Writer, in io.Reader) {
	toProtobuf := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	toJSON := serializerjson.NewSerializerWithOptions(serializerjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, serializerjson.SerializerOptions{})
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		wire, err := base64.StdEncoding.DecodeString(lines.Text())
		must(err)
		var text bytes.Buffer
		object, kind, err := toProtobuf.Decode(wire, nil, nil)
		if err == nil {
			object.GetObjectKind().SetGroupVersionKind(*kind)
			err = toJSON.Encode(object, &text)
		}
		if err != nil {
			text.Reset()
			text.WriteString("-")
		}
		fmt.Fprintf(out, "%s\n", bytes.TrimSpace(text.Bytes()))
	}
	must(lines.Err())
}

type filler struct {
	random *rand.Rand
	// How likely an optional thing is there; everything is scarcer the deeper it stands.
	density float64
}

func (f filler) there(depth int) bool {
	return f.random.Float64() < f.density/float64(1+depth/4)
}

func (f filler) fill(value reflect.Value, depth int) {
	if f.fillSpecial(value, depth) {
		return
	}
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			if value.Type().Field(i).Type != reflect.TypeFor[metav1.TypeMeta]() {
				f.fill(value.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if f.there(depth) && depth < 24 {
			value.Set(reflect.New(value.Type().Elem()))
			f.fill(value.Elem(), depth+1)
		}
	case reflect.Slice:
		if f.there(depth) && depth < 24 {
			value.Set(reflect.MakeSlice(value.Type(), 1+f.random.Intn(2), 2))
			for i := range value.Len() {
				f.fill(value.Index(i), depth+1)
			}
		}
	case reflect.Map:
		if f.there(depth) && depth < 24 {
			value.Set(reflect.MakeMap(value.Type()))
			for range 1 + f.random.Intn(2) {
				key, element := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
				key.SetString(f.text())
				f.fill(element, depth+1)
				value.SetMapIndex(key, element)
			}
		}
	case reflect.String:
		if f.there(0) {
			value.SetString(f.text())
		}
	case reflect.Bool:
		value.SetBool(f.there(0))
	case reflect.Int32, reflect.Int64, reflect.Int:
		if f.there(0) {
			value.SetInt(int64(int32(f.random.Uint32())))
		}
	case reflect.Uint8:
		value.SetUint(uint64(f.random.Intn(256)))
	case reflect.Float64:
		if f.there(0) {
			value.SetFloat(float64(f.random.Intn(2000)-1000) / 8)
		}
	case reflect.Interface:
	default:
		panic("cannot fill " + value.Type().String())
	}
}

func (f filler) text() string {
	return []string{"a", "web", "ü€😀", "<&>\"\\", "app.kubernetes.io/name", "0", "line\nbreak"}[f.random.Intn(7)] + strconv.Itoa(f.random.Intn(1000))
}

func (f filler) raw() []byte {
	return []byte([]string{`{"a":[1,2.5,null,{"b":"ü"}]}`, `{}`, `{"f:metadata":{"f:labels":{".":{}}}}`}[f.random.Intn(3)])
}

func (f filler) fillSpecial(value reflect.Value, depth int) bool {
	switch pointer := value.Addr().Interface().(type) {
	case *intstr.IntOrString:
		*pointer = intstr.FromInt32(int32(f.random.Uint32()))
		if f.random.Intn(2) == 0 {
			*pointer = intstr.FromString(f.text())
		}
	case *resource.Quantity:
		*pointer = *resource.NewMilliQuantity(f.random.Int63n(1_000_000), resource.DecimalSI)
	case *metav1.Time:
		if f.there(0) {
			*pointer = metav1.Unix(f.random.Int63n(4_000_000_000)-1_000_000_000, 0)
		}
	case *metav1.MicroTime:
		if f.there(0) {
			*pointer = metav1.NewMicroTime(time.Unix(f.random.Int63n(4_000_000_000), f.random.Int63n(1_000_000_000)))
		}
	case *metav1.Duration:
		if f.there(0) {
			shift := uint(f.random.Intn(60))
			*pointer = metav1.Duration{Duration: time.Duration(f.random.Int63()>>shift - 1<<20>>shift)}
		}
	case *metav1.FieldsV1:
		if f.there(0) {
			pointer.SetRawBytes(f.raw())
		}
	case *runtime.RawExtension:
		if f.there(0) {
			pointer.Raw = f.raw()
		}
	case *apiextensionsv1.JSON:
		if f.there(0) {
			pointer.Raw = f.raw()
		}
	case *apiextensionsv1beta1.JSON:
		if f.there(0) {
			pointer.Raw = f.raw()
		}
	default:
		return false
	}
	return true
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
