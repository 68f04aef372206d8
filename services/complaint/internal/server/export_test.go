package server

// UseCourier has notices sent by another courier.
func (s *Server) UseCourier(c Courier) { s.courier = c }
