package demo

import (
	"strings"
	"testing"
)

const airlineHeader = "ID,Class,Customer Type,Type of Travel,Satisfaction,Departure and Arrival Time Convenience,Ease of Online Booking,Check-in Service," +
	"Online Boarding,Gate Location,On-board Service,Seat Comfort,Leg Room Service,Cleanliness,Food and Drink,In-flight Service,In-flight Wifi Service," +
	"In-flight Entertainment,Baggage Handling\n"

func TestReadAirline(t *testing.T) {
	survey, err := readAirline(folder(t, map[string]string{airlineFile: airlineHeader +
		"1,Economy Plus,Returning,Personal,Neutral or Dissatisfied,0,2,3,4,5,1,2,3,4,5,1,0,3,4\n"}))
	if err != nil {
		t.Fatal(err)
	}
	responses := map[string]string{}
	for _, r := range survey.answers[0].GetResponses() {
		responses[r.GetQuestionKey()] = r.GetChoice()
	}
	if len(survey.answers) != 1 || survey.inapplicable != 2 || len(responses) != 4+12 ||
		responses["class"] != "economy-plus" || responses["satisfaction"] != "neutral-or-dissatisfied" {
		t.Fatalf("got %+v", survey)
	}
	if _, asked := responses["in-flight-wifi-service"]; asked {
		t.Error("what does not apply was answered")
	}
	questions := map[string]bool{}
	for _, q := range airlineSurvey().GetQuestions() {
		questions[q.GetKey()] = true
	}
	for key := range responses {
		if !questions[key] {
			t.Errorf("no question %s", key)
		}
	}
	_, err = readAirline(folder(t, map[string]string{airlineFile: airlineHeader + "1,Economy,Returning,Personal,Satisfied,6,2,3,4,5,1,2,3,4,5,1,0,3,4\n"}))
	if err == nil || !strings.Contains(err.Error(), "line 2: Departure and Arrival Time Convenience is \"6\"; a rating is from 0 to 5") {
		t.Errorf("a rating of 6: %v", err)
	}
}
