// argo takes one measurement of each metric in an AnalysisTemplate as Argo Rollouts would: by its own web provider, template
// arguments and conditions. Not its controller: counts and limits over several measurements are not tried here.
//
// argo TEMPLATE.yaml NAME=VALUE... prints one line of JSON a metric: name, phase, value, message.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	templates "github.com/argoproj/argo-rollouts/utils/template"
	log "github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(path string, given []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var template v1alpha1.AnalysisTemplate
	if err := yaml.UnmarshalStrict(text, &template); err != nil {
		return err
	}
	arguments, err := argumentsOf(template.Spec.Args, given)
	if err != nil {
		return err
	}
	for _, metric := range template.Spec.Metrics {
		resolved, err := resolve(metric, arguments)
		if err != nil {
			return err
		}
		client, err := webmetric.NewWebMetricHttpClient(*resolved)
		if err != nil {
			return err
		}
		parser, err := webmetric.NewWebMetricJsonParser(*resolved)
		if err != nil {
			return err
		}
		provider := webmetric.NewWebMetricProvider(*log.NewEntry(log.New()), client, parser)
		measured := provider.Run(&v1alpha1.AnalysisRun{}, *resolved)
		line, err := json.Marshal(map[string]string{
			"name": metric.Name, "phase": string(measured.Phase), "value": measured.Value, "message": measured.Message,
		})
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// argumentsOf fills the template's arguments with the values given; one without a value, or that nobody declared, is an error.
func argumentsOf(declared []v1alpha1.Argument, given []string) ([]v1alpha1.Argument, error) {
	values := map[string]string{}
	for _, pair := range given {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	var found []v1alpha1.Argument
	for _, argument := range declared {
		if value, ok := values[argument.Name]; ok {
			argument.Value, argument.ValueFrom = &value, nil
			delete(values, argument.Name)
		}
		if argument.Value == nil {
			return nil, fmt.Errorf("argument %s has no value", argument.Name)
		}
		found = append(found, argument)
	}
	for name := range values {
		return nil, fmt.Errorf("the template has no argument %s", name)
	}
	return found, nil
}

// resolve puts the arguments into a metric, in its JSON form, as Argo Rollouts does.
func resolve(metric v1alpha1.Metric, arguments []v1alpha1.Argument) (*v1alpha1.Metric, error) {
	text, err := json.Marshal(metric)
	if err != nil {
		return nil, err
	}
	filled, err := templates.ResolveQuotedArgs(string(text), arguments)
	if err != nil {
		return nil, err
	}
	var resolved v1alpha1.Metric
	return &resolved, json.Unmarshal([]byte(filled), &resolved)
}
